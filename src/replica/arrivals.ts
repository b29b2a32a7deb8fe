/**
 * Tasks in their order of arrival, some hundred to a row: a list of the newest tasks without an index that would cost a
 * row for each of them.
 */
import { checkVersion, FORMAT_VERSION } from "./codec.ts";
import type { Generation } from "./generation.ts";

const BUCKET_TASKS = 512;

export interface Arrival {
  readonly sequence: number;
  readonly task_id: string;
}

interface Bucket {
  readonly number: number;
  /** Sequences of its first and last task. */
  readonly first: number;
  readonly last: number;
}

export class Arrivals {
  readonly #sql: SqlStorage;
  readonly #name: string;
  /** Oldest first, without the newest one. */
  readonly #full: Bucket[] = [];
  #newest: Arrival[] = [];
  #number = 1;
  #changed = false;
  #passed = 0;

  constructor(sql: SqlStorage, generation: Generation) {
    this.#sql = sql;
    this.#name = generation.arrivals;
    const rows = sql.exec<Record<keyof Bucket, number>>(
      `SELECT number, first, last FROM ${this.#name} ORDER BY number`,
    );
    for (const { number, first, last } of rows) this.#full.push({ number, first, last });
    const newest = this.#full.pop();
    if (newest === undefined) return;
    this.#number = newest.number;
    this.#newest = this.#read(newest);
  }

  /** Sequences never go backwards. */
  add(arrival: Arrival): void {
    const last = this.#newest.at(-1);
    if (last !== undefined && arrival.sequence < last.sequence) {
      throw new Error(`task ${arrival.task_id} arrives as ${arrival.sequence}, after ${last.sequence}`);
    }
    this.#newest.push(arrival);
    this.#changed = true;
  }

  /** A task is gone; the oldest ones usually go first. */
  removed(sequence: number): void {
    this.#passed = Math.max(this.#passed, sequence);
  }

  /** Newest first, of those that arrived before `before`; some of them may be gone. */
  *newest(before: number): Iterable<Arrival> {
    yield* backwards(this.#newest, before);
    for (let at = this.#full.length - 1; at >= 0; at--) {
      const bucket = this.#full[at];
      if (bucket !== undefined && bucket.first < before) yield* backwards(this.#read(bucket), before);
    }
  }

  /** Oldest first, of those that arrived after `after`, up to `limit`; some of them may be gone. */
  oldest(after: number, limit: number): readonly Arrival[] {
    const found: Arrival[] = [];
    const take = (arrivals: readonly Arrival[]): void => {
      for (const arrival of arrivals)
        if (arrival.sequence > after && found.length < limit) found.push(arrival);
    };
    for (const bucket of this.#full)
      if (bucket.last > after && found.length < limit) take(this.#read(bucket));
    take(this.#newest);
    return found;
  }

  /** Writes what has arrived. `exists` is asked about the oldest bucket once tasks behind it are gone. */
  write(exists: (task_id: string) => boolean): number {
    let rows = 0;
    while (this.#newest.length > BUCKET_TASKS) {
      const tasks = this.#newest.slice(0, BUCKET_TASKS);
      rows += this.#put(tasks);
      this.#full.push({ number: this.#number, first: sequence(tasks, 0), last: sequence(tasks, -1) });
      this.#number++;
      this.#newest = this.#newest.slice(BUCKET_TASKS);
    }
    if (this.#changed) rows += this.#put(this.#newest);
    this.#changed = false;
    return rows + this.#drop(exists);
  }

  #drop(exists: (task_id: string) => boolean): number {
    const oldest = this.#full[0];
    if (oldest === undefined || this.#passed < oldest.last) return 0;
    if (this.#read(oldest).some(({ task_id }) => exists(task_id))) return 0;
    this.#full.shift();
    return this.#sql.exec(`DELETE FROM ${this.#name} WHERE number = ?`, oldest.number).rowsWritten;
  }

  #put(tasks: readonly Arrival[]): number {
    return this.#sql.exec(
      `INSERT OR REPLACE INTO ${this.#name} (number, first, last, body) VALUES (?, ?, ?, ?)`,
      this.#number,
      sequence(tasks, 0),
      sequence(tasks, -1),
      JSON.stringify({
        v: FORMAT_VERSION,
        tasks: tasks.map((task) => [task.sequence, task.task_id]),
      }),
    ).rowsWritten;
  }

  #read({ number }: Bucket): Arrival[] {
    const row = this.#sql
      .exec<{ body: string }>(`SELECT body FROM ${this.#name} WHERE number = ?`, number)
      .toArray()[0];
    if (row === undefined) throw new Error(`bucket ${number} of ${this.#name} is gone`);
    const bucket = JSON.parse(row.body) as {
      readonly v: number;
      readonly tasks: readonly [number, string][];
    };
    checkVersion(`bucket ${number} of ${this.#name}`, bucket);
    return bucket.tasks.map(([sequence, task_id]) => ({ sequence, task_id }));
  }
}

function sequence(tasks: readonly Arrival[], at: number): number {
  return tasks.at(at)?.sequence ?? 0;
}

function* backwards(arrivals: readonly Arrival[], before: number): Iterable<Arrival> {
  for (let at = arrivals.length - 1; at >= 0; at--) {
    const arrival = arrivals[at];
    if (arrival !== undefined && arrival.sequence < before) yield arrival;
  }
}
