/**
 * One transfer of another replica's tables into a generation beside the one in use: the records in chunks, what changes
 * meanwhile, and at the end, while the tables stand still there, what lives in memory. It is complete only if number
 * and digest of what arrived are those of what stands there.
 */
import type { SnapshotDescriptor } from "../raft/index.ts";
import { BEFORE_ALL, type Generation, type RecordPlace, recordPlace, type TableRow } from "./generation.ts";
import { type RowsCheck, RowsDigest } from "./rows-digest.ts";
import type { TransferAnswer, TransferRequest, TransferStep } from "./sending.ts";

/** After so many chunks of records the changes that have piled up are pulled. */
const CHUNKS_BETWEEN_CHANGES = 16;
/** Of what an earlier attempt has left, compared at once; what the sender looks at is no more. */
const HELD_CHARACTERS = 256 * 1024;

export interface PullOptions {
  readonly generation: Generation;
  /** Changes the generation in one transaction, and is told how many rows that wrote. */
  readonly fill: (work: () => number) => void;
  readonly ask: (request: TransferRequest) => Promise<TransferAnswer>;
  /** The same, and no answer is waited for. */
  readonly tell: (request: TransferRequest) => void;
}

export type PullOutcome =
  | { readonly type: "complete"; readonly snapshot: SnapshotDescriptor }
  /** The sender does not know of it (any more). */
  | { readonly type: "forgotten" }
  | Differs;

/** What arrived is not what was sent. */
interface Differs {
  readonly type: "differs";
  readonly detail: string;
}

type Rows = Extract<TransferAnswer, { readonly type: "rows" }>;
type Unfinished = "moved" | "unknown";

export class Pull {
  readonly #options: PullOptions;
  readonly #transfer = crypto.randomUUID();
  #nth = 0;
  /** Of the records up to where this transfer has come, as they stand here. */
  readonly #records = new RowsDigest();
  #received = 0;
  #kept = 0;

  constructor(options: PullOptions) {
    this.#options = options;
  }

  /** For the log. */
  get summary(): string {
    return `rows=${this.#received} kept=${this.#kept}`;
  }

  end(result: "delivered" | "failed"): void {
    this.#options.tell(this.#request({ type: "end", result }));
  }

  async run(): Promise<PullOutcome> {
    if (!(await this.#pullRecords())) return { type: "forgotten" };
    for (;;) {
      const pinned = await this.#pin();
      if (pinned === undefined) return { type: "forgotten" };
      const { snapshot, check } = pinned;
      if (snapshot === undefined) {
        if (pinned.done) return { type: "forgotten" };
        continue;
      }
      const differs = differing("records", this.#records, check);
      if (differs !== undefined) return differs;
      const end = (await this.#pullNumbered("live")) ?? (await this.#pullNumbered("arrivals"));
      if (end === "unknown") return { type: "forgotten" };
      if (end === "moved") continue;
      return end ?? { type: "complete", snapshot };
    }
  }

  /** Whether the sender kept up. */
  async #pullRecords(): Promise<boolean> {
    const { generation, fill } = this.#options;
    let after: RecordPlace = BEFORE_ALL;
    for (let chunks = 1; ; chunks++) {
      const held = generation.recordsAfter(after, HELD_CHARACTERS);
      const digest = RowsDigest.of(held);
      const through = placeOfLast(held);
      const answer = await this.#step({
        type: "records",
        after,
        ...(through === undefined ? {} : { held: { through, ...digest.check } }),
      });
      if (typeof answer === "string") return false;
      if (answer.same && through !== undefined) {
        this.#records.join(digest);
        this.#kept += held.length;
        after = through;
      } else {
        const last = placeOfLast(answer.rows);
        const cleared = after;
        fill(() => generation.clearRecords(cleared, last) + this.#put(answer.rows));
        this.#records.join(RowsDigest.of(answer.rows));
        if (last === undefined) return true;
        after = last;
      }
      if (chunks % CHUNKS_BETWEEN_CHANGES === 0) {
        const changes = await this.#step({ type: "changes" });
        if (typeof changes === "string") return false;
        this.#change(changes.rows);
      }
    }
  }

  async #pin(): Promise<Rows | undefined> {
    const answer = await this.#step({ type: "pin" });
    if (typeof answer === "string") return undefined;
    this.#change(answer.rows);
    return answer;
  }

  /** What stands in memory while in use is pulled as a whole. */
  async #pullNumbered(type: "live" | "arrivals"): Promise<Unfinished | Differs | undefined> {
    const { generation, fill } = this.#options;
    fill(() => generation.clearNumbered(type));
    const digest = new RowsDigest();
    for (let after = 0; ; ) {
      const answer = await this.#step({ type, after });
      if (typeof answer === "string") return answer;
      const last = answer.rows.at(-1);
      if (last === undefined || last[0] === "records") {
        return differing(type, digest, answer.check);
      }
      fill(() => this.#put(answer.rows));
      digest.join(RowsDigest.of(answer.rows));
      after = last[1];
    }
  }

  /** Records that have changed since they were sent. */
  #change(rows: readonly TableRow[]): void {
    const { generation, fill } = this.#options;
    for (const row of rows) {
      if (row[0] !== "records") continue;
      const [, table, key, body] = row;
      const before = generation.record(table, key);
      if (before !== undefined) this.#records.remove(["records", table, key, before]);
      if (body !== null) this.#records.add(row);
    }
    fill(() => this.#put(rows));
  }

  #put(rows: readonly TableRow[]): number {
    this.#received += rows.length;
    return rows.reduce((written, row) => written + this.#options.generation.put(row), 0);
  }

  #request(step: TransferStep): TransferRequest {
    this.#nth++;
    return { transfer: this.#transfer, nth: this.#nth, step };
  }

  async #step(step: TransferStep): Promise<Rows | Unfinished> {
    const answer = await this.#options.ask(this.#request(step));
    return answer.type === "rows" ? answer : answer.type;
  }
}

function placeOfLast(rows: readonly TableRow[]): RecordPlace | undefined {
  const row = rows.at(-1);
  return row?.[0] === "records" ? recordPlace(row) : undefined;
}

function differing(what: string, here: RowsDigest, there: RowsCheck | undefined): Differs | undefined {
  if (there !== undefined && here.equals(there)) return undefined;
  const { count, digest } = here.check;
  const detail = `${what}: ${count} rows with digest ${digest} are here, ${there?.count} with ${there?.digest} there`;
  return { type: "differs", detail };
}
