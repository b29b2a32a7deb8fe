/**
 * What must hold before a replica may run: options that make sense, and a restored state
 * that does not contradict itself. A replica that starts wrong cannot be told from one that lies.
 */
import { Configurations } from "./configurations.ts";
import { RaftLog } from "./log.ts";
import type { RaftOptions } from "./options.ts";
import type { Millis } from "./vocabulary.ts";

function demand(holds: boolean, complaint: string): void {
  if (!holds) throw new Error(complaint);
}

/** Throws for options that are out of range. */
export function checkOptions<Command>(options: RaftOptions<Command>): void {
  const { id, now, timing, limits } = options;
  demand(id !== "", "id must not be empty");
  demand(Number.isFinite(now), `now must be an instant, not ${now}`);
  const { heartbeatInterval, loyalty, electionTimeout } = timing;
  const [shortest, longest] = electionTimeout;
  demand(heartbeatInterval > 0, `timing.heartbeatInterval must be positive, not ${heartbeatInterval}`);
  demand(
    shortest > heartbeatInterval,
    `timing.electionTimeout must exceed heartbeatInterval (${heartbeatInterval}), not begin at ${shortest}`,
  );
  demand(
    loyalty >= 0 && shortest >= loyalty,
    `timing.electionTimeout must not begin before loyalty (${loyalty}) ends, not at ${shortest}`,
  );
  demand(
    longest > shortest && Number.isFinite(longest),
    `timing.electionTimeout must be a range, not [${shortest}, ${longest})`,
  );
  if (options.reads.type === "lease") {
    const { maxDrift } = options.reads;
    demand(options.checkQuorum, `reads: "lease" needs checkQuorum, or nobody is loyal to the leader`);
    demand(
      maxDrift >= 0 && maxDrift < loyalty,
      `reads.maxDrift must be less than loyalty (${loyalty}), not ${maxDrift}`,
    );
  }
  for (const name of ["snapshotTimeout", "quiesceAfter", "commitNoticeAfter"] as const) {
    const duration = timing[name];
    demand(duration === undefined || duration > 0, `timing.${name} must be positive, not ${duration}`);
  }
  for (const [name, limit] of Object.entries(limits)) {
    demand(limit > 0, `limits.${name} must be positive, not ${limit}`);
  }
}

/** Reads back what storage holds. Throws if it contradicts itself, naming the indexes that show it. */
export function restore<Command>({ restored, log, limits, sizeOf }: RaftOptions<Command>): {
  readonly log: RaftLog<Command>;
  readonly configurations: Configurations;
} {
  const { hardState, snapshot, applied } = restored;
  const { firstIndex, lastIndex } = log;
  const base = snapshot?.last.index ?? 0;
  // The stored commit index is a hint that may lag; what is applied, or in a snapshot, is committed.
  const commit = Math.max(hardState.commit, applied, base);
  const lastTerm = lastIndex === 0 ? 0 : log.termAt(lastIndex);

  demand(firstIndex <= lastIndex + 1, `log begins at ${firstIndex} but ends at ${lastIndex}`);
  demand(lastTerm !== undefined, `log ends at ${lastIndex} but knows no term there`);
  demand(
    lastTerm === undefined || lastTerm <= hardState.term,
    `log ends in term ${lastTerm}, after the stored term ${hardState.term}`,
  );
  demand(commit <= lastIndex, `index ${commit} is committed or applied but the log ends at ${lastIndex}`);
  demand(applied >= base, `applied index ${applied} is before the snapshot's, ${base}`);
  demand(
    firstIndex <= applied + 1,
    `log begins at ${firstIndex} but entries are applied up to ${applied} only`,
  );
  demand(firstIndex <= base + 1, `log begins at ${firstIndex} but the newest snapshot ends at ${base}`);
  demand(
    firstIndex === 1 || log.termAt(firstIndex - 1) !== undefined,
    `log begins at ${firstIndex} but does not know the term of the entry before`,
  );

  const configurations = new Configurations(snapshot?.configuration ?? restored.configuration, base);
  let lastTime: Millis = snapshot?.last.time ?? 0;
  for (let next = Math.max(firstIndex, base + 1); next <= lastIndex; ) {
    const entries = log.read(next, lastIndex + 1, limits.committedBytes);
    demand(entries.length > 0, `log holds no entry at ${next} but ends at ${lastIndex}`);
    for (const entry of entries) {
      demand(entry.index === next, `log holds entry ${entry.index} in the place of ${next}`);
      if (entry.type === "configuration") configurations.append(next, entry.configuration);
      lastTime = Math.max(lastTime, entry.time);
      next += 1;
    }
  }
  return { log: new RaftLog(log, sizeOf, { commit, applied, lastTime }), configurations };
}
