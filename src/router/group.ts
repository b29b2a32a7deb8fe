/** The replicas as the router sees them, and the question who leads them. */
import type { LogEvent } from "../api/log.ts";
import type { Answer, Leadership, ReplicaName } from "../replica/rpc.ts";
import { startAttempt } from "./attempt.ts";
import type { Transport } from "./transport.ts";

export interface Group {
  readonly names: readonly ReplicaName[];
  readonly transport: Transport;
  readonly loyalty_ms: number;
  /** The replica believed to lead, shared by all requests of the isolate. */
  readonly hint: { leader: ReplicaName | undefined };
  /** Told what every replica asked says. */
  readonly learn: (seen: Leadership) => void;
  readonly log: (event: Omit<LogEvent, "replica">) => void;
}

/** The higher term counts; within it the leader itself, then whoever names one. */
function better(a: Leadership, b: Leadership): boolean {
  if (a.term !== b.term) return a.term > b.term;
  return a.leads || (!b.leads && b.leader === undefined);
}

/**
 * Asks everybody in parallel who leads. Done as soon as a majority has answered and the leader of the highest term is
 * among them, at the latest when all have answered or run out of time. Undefined if nobody answered.
 */
export function probeLeader(
  group: Group,
  request_id: string,
  timeout_ms: number,
): Promise<Leadership | undefined> {
  const body = JSON.stringify({ what: "leadership" });
  const majority = Math.floor(group.names.length / 2) + 1;
  return new Promise((resolve) => {
    let best: Leadership | undefined;
    let answered = 0;
    let asleep = 0;
    let settled = 0;
    for (const name of group.names) {
      const { result } = startAttempt(group.transport, name, {
        path: "/observe",
        body,
        request_id,
        timeout_ms,
      });
      void result.then((answer) => {
        settled += 1;
        if (answer.type === "answer") {
          answered += 1;
          const view = (answer.value as Answer<Leadership>).result;
          if (view.asleep === true) asleep += 1;
          group.learn(view);
          if (best === undefined || better(view, best)) best = view;
        }
        const led = best?.leads === true && best.asleep !== true;
        if (settled < group.names.length && !(answered >= majority && led)) return;
        // One that sleeps alone was only just restarted: whether the group would wake is for a majority to say.
        const alone = best?.asleep === true && asleep < majority;
        resolve(best && alone ? { ...best, asleep: false, ready: false } : best);
      });
    }
  });
}
