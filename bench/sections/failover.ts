/** The leader is stopped: from then to the first acknowledgement of a write that was sent afterwards, by any of four clients. */
import { quantile, type Section } from "../figure.ts";
import { httpTo } from "../generator.ts";
import { Group } from "../group.ts";
import { startTroika } from "../troika.ts";

const WRITERS = 4;
const RECOVERY_MS = 30_000;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

interface Acknowledged {
  readonly sent_at: number;
  readonly at: number;
}

/** Stops the leader so many times, each when the group is whole again. */
export async function stopLeaders(url: string, rounds: number): Promise<readonly number[]> {
  const group = new Group(url);
  const http = httpTo(url, WRITERS);
  let stopping = false;
  let last: Acknowledged = { sent_at: 0, at: 0 };
  let first_after = 0;
  let recovered: ((at: number) => void) | undefined;
  let count = 0;
  const write = async (): Promise<void> => {
    while (!stopping) {
      const sent_at = performance.now();
      const data = `failover-${process.pid}-${count++}`;
      const taken = await http.post("/api/v1/tasks/noop", { data }).then(
        () => true,
        () => false,
      );
      if (taken) {
        last = { sent_at, at: performance.now() };
        if (sent_at >= first_after) recovered?.(last.at);
      } else await pause(5);
    }
  };
  const writing = Array.from({ length: WRITERS }, write);
  const times: number[] = [];
  try {
    for (let round = 0; round < rounds; round++) {
      await group.ready();
      const leader = await group.leader();
      await pause(300 * Math.random());
      const next = new Promise<number>((resolve) => {
        recovered = resolve;
        first_after = Number.POSITIVE_INFINITY;
      });
      await group.fault(leader, { action: "stop" });
      const stopped_at = performance.now();
      first_after = stopped_at;
      const at = await Promise.race([next, pause(RECOVERY_MS).then(() => Number.POSITIVE_INFINITY)]);
      times.push(at - stopped_at);
      recovered = undefined;
      await group.fault(leader, { action: "start" });
    }
    await group.ready();
  } finally {
    stopping = true;
    await Promise.all(writing);
    await http.close();
  }
  return times;
}

export const failover: Section = {
  name: "failover",
  async run(bench) {
    const troika = await bench.keep(startTroika());
    const rounds = bench.quick ? 20 : 200;
    const times = await stopLeaders(troika.url, rounds);
    const name = `leader stopped → next acknowledged write, ${rounds} rounds`;
    return [
      {
        name: `${name}, p99`,
        unit: "ms",
        better: "lower",
        must: 700,
        goal: 300,
        samples: [quantile(times, 0.99)],
      },
      { name: `${name}, p50`, unit: "ms", better: "lower", samples: [...times] },
    ];
  },
};
