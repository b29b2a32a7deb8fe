/**
 * What one replica holds durably, in SQLite: the log (stored-log.ts), the records as of a checkpoint (tables.ts), and in
 * `state` identity, founding, term and vote, the checkpoint's place in the log, and the fault in force. What belongs
 * together is written inside one `transactionSync`.
 */

import type { Command } from "../coordinator/commands.ts";
import type { RecordKey } from "../coordinator/tables.ts";
import type {
  HardState,
  LogIndex,
  LogPosition,
  Persist,
  Configuration as RaftConfiguration,
  SnapshotDescriptor,
  Term,
} from "../raft/index.ts";
import type { Founding } from "./birth.ts";
import { checkVersion, FORMAT_VERSION } from "./codec.ts";
import { Generation } from "./generation.ts";
import { StoredLog } from "./stored-log.ts";
import { type Storing, Tables } from "./tables.ts";

/** Stored, so that a fault survives eviction and restart until it is lifted. */
export interface FaultState {
  readonly stopped: boolean;
  readonly isolated: boolean;
  readonly delay_ms: number;
  readonly drop_rate: number;
}
export const NO_FAULT: FaultState = { stopped: false, isolated: false, delay_ms: 0, drop_rate: 0 };

/** The tables hold exactly what the entries up to here made of them. */
interface CheckpointState {
  readonly v: number;
  readonly generation: number;
  readonly index: LogIndex;
  readonly term: Term;
  readonly time: number;
  readonly configuration: RaftConfiguration;
}

interface StateValues {
  /** Its version is that of the tables. */
  identity: { readonly v: number; readonly name: string; readonly incarnation: string };
  founding: Founding;
  vote: { readonly v: number; readonly term: Term; readonly vote?: string; readonly leader?: string };
  fault: FaultState & { readonly v: number };
  /** Of a replica that was removed: it takes no part in any founding, until it is added again. */
  former: { readonly v: number; readonly founding_id: string; readonly incarnation: string };
  checkpoint: CheckpointState;
  log_start: LogPosition & { readonly v: number };
}

export class Store {
  readonly log: StoredLog;
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;
  #durable: { readonly term: Term; readonly vote: string | undefined; readonly leader: string | undefined };
  #tables: Tables | undefined;
  #checkpoint: CheckpointState | undefined;
  /** Being filled; not in use. */
  #staged: Generation | undefined;
  rowsWritten = 0;
  /** Times that {@link write} has written. */
  writes = 0;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#sql = storage.sql;
    this.#sql.exec(
      "CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID",
    );
    const { v = FORMAT_VERSION } = this.state("identity") ?? {};
    if (v < FORMAT_VERSION)
      throw new Error(
        `the stored tables are of version ${v}, of which this code reads none: run the code that wrote them, and move by an export`,
      );
    const { term = 0, vote, leader } = this.state("vote") ?? {};
    this.#durable = { term, vote, leader };
    this.#checkpoint = this.state("checkpoint");
    this.log = new StoredLog(
      this.#sql,
      this.state("log_start") ?? { index: 0, term: 0 },
      this.#checkpoint?.index ?? 0,
    );
  }

  get databaseBytes(): number {
    return this.#sql.databaseSize;
  }

  /** Currency is enforced when storage is touched: whatever promises something does it first. */
  touch(): void {
    this.#sql.exec("SELECT 1 FROM state LIMIT 1").toArray();
  }

  state<Key extends keyof StateValues>(key: Key): StateValues[Key] | undefined {
    const row = this.#sql.exec<{ body: string }>("SELECT body FROM state WHERE key = ?", key).toArray()[0];
    if (!row) return undefined;
    const value = JSON.parse(row.body) as StateValues[Key];
    checkVersion(`stored ${key}`, value);
    return value;
  }

  setState<Key extends keyof StateValues>(key: Key, value: Omit<StateValues[Key], "v">): void {
    this.rowsWritten += this.#sql.exec(
      "INSERT OR REPLACE INTO state (key, body) VALUES (?, ?)",
      key,
      JSON.stringify({ v: FORMAT_VERSION, ...value }),
    ).rowsWritten;
  }

  /**
   * Forgets identity, log, votes and founding in one step: what comes back is another replica. This object must not be
   * used any more.
   */
  leave(former: Omit<StateValues["former"], "v">): void {
    const staged = this.stage();
    this.#storage.transactionSync(() => {
      staged.drop();
      new Generation(this.#sql, this.#generation).drop();
      this.#sql.exec("DELETE FROM log");
      this.#sql.exec("DELETE FROM state WHERE key <> 'fault'");
      this.setState("former", former);
    });
  }

  hardState(): HardState {
    const stored = this.state("vote");
    return {
      term: stored?.term ?? 0,
      commit: this.log.commitHint,
      ...(stored?.vote === undefined ? {} : { vote: stored.vote }),
      ...(stored?.leader === undefined ? {} : { leader: stored.leader }),
    };
  }

  /** The commit index travels with the next log row: it is a hint and costs no write of its own. */
  hint(hardState: HardState): void {
    this.log.commitHint = hardState.commit;
  }

  /** Writes one batch of the core's work, atomically. */
  write(persist: Persist<Command>): void {
    if (persist.hardState?.rounds !== undefined) {
      throw new Error(
        `reserved rounds (${persist.hardState.rounds}) are not stored: resumeLeadership must stay off`,
      );
    }
    const { snapshot, entries, hardState } = persist;
    const voted = hardState !== undefined && this.#isNew(hardState);
    // A statement by itself is a transaction.
    if (!snapshot && !voted && this.log.extendedBy(entries)) {
      if (hardState) this.hint(hardState);
      this.rowsWritten += this.log.write(entries);
    } else {
      this.#storage.transactionSync(() => {
        if (snapshot) this.#install(snapshot);
        if (voted) this.#vote(hardState);
        if (hardState) this.hint(hardState);
        this.rowsWritten += this.log.write(entries);
      });
    }
    this.writes++;
  }

  #isNew({ term, vote, leader }: HardState): boolean {
    const before = this.#durable;
    return term !== before.term || vote !== before.vote || leader !== before.leader;
  }

  #vote({ term, vote, leader }: HardState): void {
    this.setState("vote", {
      term,
      ...(vote === undefined ? {} : { vote }),
      ...(leader === undefined ? {} : { leader }),
    });
    this.#durable = { term, vote, leader };
  }

  /** The records as of {@link checkpoint}, and what the machine that was built on them has made of them since. */
  get tables(): Tables {
    if (this.#tables === undefined) throw new Error("the tables are not open");
    return this.#tables;
  }

  /** The records as of {@link checkpoint} alone, for a machine that begins there. */
  openTables(): Tables {
    this.#tables = new Tables(this.#sql, this.#generation);
    return this.#tables;
  }

  /** The newest one, as the core wants it described. */
  get checkpoint(): SnapshotDescriptor | undefined {
    if (this.#checkpoint === undefined) return undefined;
    const { generation, index, term, time, configuration } = this.#checkpoint;
    return { last: { index, term, time }, configuration, handle: handleOf(generation, index) };
  }

  /** The name under which the core knows a checkpoint that is written at `index` now. */
  handle(index: LogIndex): string {
    return handleOf(this.#generation, index);
  }

  /** Writes the records that have changed since the last checkpoint, atomically with their place in the log. */
  writeCheckpoint(snapshot: SnapshotDescriptor, changed: readonly RecordKey[], storing?: Storing): void {
    const { last, configuration } = snapshot;
    const checkpoint = { generation: this.#generation, ...last, configuration };
    this.#storage.transactionSync(() => {
      this.rowsWritten += this.tables.write(changed, storing);
      this.setState("checkpoint", checkpoint);
    });
    this.#checkpoint = { v: FORMAT_VERSION, ...checkpoint };
  }

  /**
   * Deletes the log's oldest rows that hold nothing after `through`, which the checkpoint covers; at most so many.
   * Returns the number of entries that went.
   */
  cutLog(through: LogIndex, rowsMax: number): number {
    const { firstIndex } = this.log;
    this.#storage.transactionSync(() => {
      const cut = this.log.cut(through, rowsMax);
      if (cut === undefined) return;
      this.rowsWritten += cut.rowsWritten;
      this.setState("log_start", cut.start);
    });
    return this.log.firstIndex - firstIndex;
  }

  /** A generation for another replica's tables, with what an earlier attempt, also of an instance before, has left there. */
  stage(): Generation {
    this.#staged ??= this.#storage.transactionSync(() => new Generation(this.#sql, this.#generation + 1));
    return this.#staged;
  }

  /** Changes what is staged, in one step. Nothing happens if it is not wanted any more. */
  fillStaged(generation: Generation, fill: () => number): void {
    if (generation !== this.#staged) return;
    this.#storage.transactionSync(() => {
      this.rowsWritten += fill();
    });
  }

  /** What was staged and is not in use by now is not wanted. */
  unstage(): void {
    const staged = this.#staged;
    this.#staged = undefined;
    if (staged) this.#storage.transactionSync(() => staged.drop());
  }

  /** The staged tables take the place of those in use, and of the log. */
  #install(snapshot: SnapshotDescriptor): void {
    const staged = this.#staged;
    if (staged === undefined) throw new Error(`a snapshot at ${snapshot.last.index} was not pulled`);
    const { last, configuration } = snapshot;
    const before = this.tables.generation;
    this.rowsWritten += this.log.restart(last);
    this.setState("log_start", { index: last.index, term: last.term });
    this.setState("checkpoint", { generation: staged.number, ...last, configuration });
    this.#checkpoint = { v: FORMAT_VERSION, generation: staged.number, ...last, configuration };
    this.#staged = undefined;
    before.drop();
    this.#tables = undefined;
  }

  get #generation(): number {
    return this.#checkpoint?.generation ?? 0;
  }
}

function handleOf(generation: number, index: LogIndex): string {
  return `${generation}.${index}`;
}
