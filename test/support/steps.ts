/**
 * Where a replica may be struck down: between any two statements that it gives its storage, and around every commit. It
 * stands between a Durable Object and its storage, in tests alone: nothing that is deployed knows of it.
 *
 * A step is named by what is about to be done (`INSERT records`, `commit INSERT records`) or has just been done
 * (`committed INSERT records`). A statement that is repeated at once, row by row, is one step; so are statements of several
 * tables of records.
 */
import { isStored } from "../../src/replica/places.ts";

interface SteppedStorage {
  readonly sql: {
    exec(query: string, ...bindings: never[]): unknown;
    readonly databaseSize: number;
  };
  transactionSync<Result>(work: () => Result): Result;
  sync(): Promise<void>;
  setAlarm(at: number): Promise<void>;
  deleteAlarm(): Promise<void>;
}

const STATEMENT =
  /^(?:(SELECT|INSERT|DELETE|DROP|CREATE)\b.*?\b(?:FROM|INTO|TABLE(?: IF NOT EXISTS)?)|(UPDATE)) (\w+?)(?:_\d+)?\b/;
/** Looked at in every event. */
const TOUCH = "SELECT 1 FROM state LIMIT 1";

function nameOf(query: string, bindings: readonly unknown[]): string {
  const [, other, update, table] = STATEMENT.exec(query) ?? [];
  const verb = other ?? update;
  if (verb === undefined || table === undefined) throw new Error(`no step is known for: ${query}`);
  if (isStored(table)) return `${verb} records`;
  return table === "state" && typeof bindings[0] === "string"
    ? `${verb} state ${bindings[0]}`
    : `${verb} ${table}`;
}

/** Steps of checkpoints, of cutting the log, and of snapshots; others write the log and the vote. */
export const MATTERS = /records|sharing|live|arrivals|state checkpoint|log_start|DELETE log/;

/** `step` is told of every step before it is taken, and throws where the instance ends. */
export function stepping<Storage extends SteppedStorage>(
  storage: Storage,
  step: (name: string) => void,
): Storage {
  let last = "";
  let first: string | undefined;
  const pass = (name: string): void => {
    if (name === last) return;
    last = name;
    step(name);
  };
  const stepped: SteppedStorage = {
    sql: {
      exec(query, ...bindings) {
        if (query !== TOUCH) {
          const name = nameOf(query, bindings);
          first ??= name;
          pass(name);
        }
        return storage.sql.exec(query, ...bindings);
      },
      get databaseSize() {
        return storage.sql.databaseSize;
      },
    },
    transactionSync(work) {
      first = undefined;
      const result = storage.transactionSync(() => {
        const done = work();
        pass(`commit ${first}`);
        return done;
      });
      pass(`committed ${first}`);
      return result;
    },
    sync: () => storage.sync(),
    setAlarm: (at) => storage.setAlarm(at),
    deleteAlarm: () => storage.deleteAlarm(),
  };
  return stepped as Storage;
}

/** What is to become of a replica on workerd. */
export interface Order {
  /** The how-manieth step that matters. */
  readonly at: number;
  readonly how: "abort" | "hold";
}

/** Strikes at the `at`-th step that matters, once. A step that comes again, chunk after chunk, counts so many times. */
export class Strike {
  readonly at: number;
  readonly #matters: (step: string) => boolean;
  readonly #times: number;
  readonly #seen = new Map<string, number>();
  /** Steps that counted, as they were passed. */
  readonly passed: string[] = [];
  done = false;

  constructor(at: number, matters: (step: string) => boolean, times = Number.POSITIVE_INFINITY) {
    this.at = at;
    this.#matters = matters;
    this.#times = times;
  }

  /** Whether this is the one. */
  hits(step: string): boolean {
    if (this.done || !this.#matters(step)) return false;
    const seen = (this.#seen.get(step) ?? 0) + 1;
    this.#seen.set(step, seen);
    if (seen > this.#times) return false;
    this.passed.push(step);
    this.done = this.passed.length === this.at;
    return this.done;
  }
}
