/** A group left alone with its pool connected, seen from outside, and the first write after it. */

import type { Section } from "../figure.ts";
import { idleHours } from "../idle.ts";

export const idle: Section = {
  name: "idle",
  async run(bench) {
    const minutes = bench.quick ? 1 : 60;
    const rounds = bench.quick ? 3 : 20;
    const { changed, processor_ms, latencies } = await idleHours({ minutes, rounds, say: bench.note });
    const hour = `an idle hour with a connected pool${minutes === 60 ? "" : ` (${minutes} min of it)`}`;
    return [
      {
        name: `${hour}: minutes with any change`,
        unit: "",
        better: "lower",
        must: 0,
        goal: 0,
        samples: [changed],
      },
      {
        name: `${hour}: processor time of workerd a minute`,
        unit: "ms",
        better: "lower",
        samples: [processor_ms / minutes],
      },
      {
        name: `first write after sleep, p50 of ${rounds}`,
        unit: "ms",
        better: "lower",
        must: 50,
        goal: 10,
        samples: latencies,
      },
    ];
  },
};
