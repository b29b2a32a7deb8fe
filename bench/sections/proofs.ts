/** Real proofs per second through the whole system against the prover alone, before and after. */
import type { Section } from "../figure.ts";
import { proving } from "../proving.ts";

const THREADS = 2;

export const proofs: Section = {
  name: "proofs",
  async run(bench) {
    const tasks = bench.quick ? 40 : 300;
    const alone = bench.quick ? 20 : 60;
    const options = { tasks, threads: THREADS, minutes: 0, alone };
    const { rate, first, second } = await proving(options, bench.note);
    return [
      {
        name: `real proofs (${tasks}) against the prover alone`,
        unit: "x",
        better: "higher",
        must: 0.93,
        goal: 0.97,
        // The ratio to the mean, between those to either.
        samples: [rate / first, (2 * rate) / (first + second), rate / second],
      },
      { name: "real proofs", unit: "/s", better: "higher", samples: [rate] },
    ];
  },
};
