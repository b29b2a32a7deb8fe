/** What replicas did and what they believe, in words: the printed half of a scenario. */
import type {
  Configuration,
  Entry,
  HardState,
  LogPosition,
  Message,
  Outcome,
  Progress,
  ReadResult,
  Ready,
  Refusal,
  Status,
} from "../../../src/raft/index.ts";
import type { Replica } from "../harness/replica.ts";

export function position({ index, term }: LogPosition): string {
  return `${index}@${term}`;
}

function memberships(configuration: Configuration | undefined): string {
  if (configuration === undefined) return "nobody";
  if (configuration.type === "stable") {
    const { voters, learners } = configuration;
    return [voters.join(" "), ...learners.map((learner) => `(${learner})`)].join(" ");
  }
  const { from, to } = configuration;
  return `${memberships({ type: "stable", ...from })} → ${memberships({ type: "stable", ...to })}`;
}

function entryInWords(entry: Entry<string>): string {
  switch (entry.type) {
    case "command":
      return `${position(entry)} "${entry.command}"`;
    case "barrier":
      return `${position(entry)} barrier`;
    case "configuration":
      return `${position(entry)} members ${memberships(entry.configuration)}`;
  }
}

export function refusalInWords(refusal: Refusal): string {
  switch (refusal.type) {
    case "not-leader":
      return `not-leader${refusal.leader === undefined ? "" : `, ${refusal.leader} is`}`;
    case "transferring":
      return `transferring to ${refusal.successor}`;
    case "learner-behind":
      return `learner-behind, it matches to ${refusal.matched}`;
    case "invalid-change":
      return `invalid-change, ${refusal.reason}`;
    default:
      return refusal.type;
  }
}

export function outcomeInWords(outcome: Outcome): string {
  switch (outcome.type) {
    case "appended":
      return `appends ${position(outcome.position)}`;
    case "started":
      return "accepts";
    case "forwarded":
      return `forwards to ${outcome.leader}`;
    case "refused":
      return `refuses: ${refusalInWords(outcome.refusal)}`;
  }
}

function readInWords(result: ReadResult): string {
  return result.type === "granted"
    ? `grants read ${result.id} at ${result.index}`
    : `aborts read ${result.id}: ${refusalInWords(result.refusal)}`;
}

interface Durable {
  readonly hardState: HardState;
  readonly lastIndex: number;
}

/** What one event led to: beliefs that changed, then every batch in the order that the host must keep. */
export function effectsOf(
  { status: before, disk }: { readonly status: Status; readonly disk: Durable },
  after: Status,
  batches: readonly Ready<string>[],
): readonly string[] {
  const effects: string[] = [];
  if (after.role !== before.role || (after.role !== "follower" && after.term !== before.term)) {
    effects.push(`becomes ${after.role} in term ${after.term}`);
  } else if (after.term !== before.term) {
    effects.push(`enters term ${after.term}`);
  }
  if (after.leader !== before.leader && after.leader !== undefined && after.leader !== after.id) {
    effects.push(`follows ${after.leader}`);
  }
  if (memberships(after.configuration) !== memberships(before.configuration)) {
    effects.push(`counts ${memberships(after.configuration)}`);
  }
  if (after.quiesced !== before.quiesced) effects.push(after.quiesced ? "falls silent" : "wakes");
  let durable = disk;
  for (const { sendNow, persist, sendAfterPersist } of batches) {
    effects.push(...sending("sends", sendNow));
    if (persist !== undefined) {
      const { snapshot, entries, hardState = durable.hardState } = persist;
      const written = [
        ...(snapshot === undefined ? [] : [`snapshot ${position(snapshot.last)}`]),
        ...(hardState.term === durable.hardState.term ? [] : [`term ${hardState.term}`]),
        ...(hardState.vote === durable.hardState.vote ? [] : [`vote ${hardState.vote ?? "none"}`]),
        ...entries.map(entryInWords),
      ];
      const [first] = entries;
      const end = snapshot?.last.index ?? durable.lastIndex;
      const over = first !== undefined && first.index <= end ? ` over ${first.index} to ${end}` : "";
      if (written.length > 0) effects.push(`writes ${written.join(", ")}${over}`);
      durable = { hardState, lastIndex: entries.at(-1)?.index ?? end };
    }
    effects.push(...sending(persist?.mustSync === true ? "then sends" : "sends", sendAfterPersist));
  }
  if (after.commit !== before.commit) effects.push(`commits to ${after.commit}`);
  effects.push(...batches.flatMap(({ reads }) => reads.map(readInWords)));
  return effects;
}

function sending(verb: string, messages: readonly Message<string>[]): readonly string[] {
  const receivers = new Map<string, string[]>();
  for (const { type, to } of messages) receivers.set(type, [...(receivers.get(type) ?? []), to]);
  return Array.from(receivers, ([type, to]) => `${verb} ${type} to ${to.join(" ")}`);
}

/** Role, term, vote, commit index, and the log as a row of terms, as the paper draws it. */
export function stateLine({ id, status, disk }: Replica, down: boolean): string {
  const { role, term, vote, commit } = status;
  const cut =
    disk.firstIndex > 1
      ? `[to ${position({ index: disk.firstIndex - 1, term: disk.termAt(disk.firstIndex - 1) ?? 0 })}] `
      : "";
  const terms = disk.entries.map((entry) => entry.term).join(" ");
  return [
    id,
    (down ? "down" : role).padEnd(13),
    `term ${term}`,
    `vote ${vote ?? "-"}`,
    `commit ${commit}`.padEnd(9),
    `log ${cut}${terms}`.trimEnd(),
  ].join("  ");
}

export function membersLine({ id, status }: Replica): string {
  return `${id}  ${memberships(status.configuration)}`;
}

export function progressLine(id: string, progress: Progress): string {
  const { type, matched } = progress;
  switch (progress.type) {
    case "probe":
      return `${id}  ${type}, matches to ${matched}, next ${progress.next}${progress.waiting ? ", waits for an answer" : ""}`;
    case "replicate":
      return `${id}  ${type}, matches to ${matched}, next ${progress.next}, ${progress.inFlight.messages} in flight`;
    case "snapshot":
      return `${id}  ${type}, matches to ${matched}, offered ${progress.offered}`;
  }
}
