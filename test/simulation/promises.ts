/** The contract with the disk: what a replica says that must survive a crash is already durable. */
import type { Message } from "../../src/raft/index.ts";
import type { Host } from "./host.ts";
import type { Command } from "./machine.ts";
import { Violation } from "./violation.ts";

/**
 * To be asked at the moment at which the message leaves; `exact` if the disk has not gone on since it
 * was composed, for a later leader may have shortened the log in the meantime.
 */
export function demandPromise(host: Host, message: Message<Command>, exact: boolean): void {
  const { hardState, lastIndex } = host.disk.durable;
  let kept = true;
  switch (message.type) {
    case "vote-response":
      kept = !message.granted || votedFor(message.to, message.term);
      break;
    case "vote-request":
      kept = votedFor(message.from, message.term) && (isOver(message.term) || reaches(message.lastLog.index));
      break;
    case "append-response":
      kept = message.outcome.type !== "matched" || isOver(message.term) || reaches(message.outcome.through);
      break;
    default:
      return;
  }
  if (kept) return;
  throw new Violation(
    "what is promised is durable",
    `${host.id} sends ${JSON.stringify(message)} with ${JSON.stringify(hardState)} and ${lastIndex} entries on disk`,
    [host.id],
  );

  function reaches(index: number): boolean {
    return !exact || lastIndex >= index;
  }

  function isOver(term: number): boolean {
    return hardState.term > term;
  }

  function votedFor(candidate: string, term: number): boolean {
    return isOver(term) || (hardState.term === term && hardState.vote === candidate);
  }
}
