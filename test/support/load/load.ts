/**
 * Everything that clients do with a cluster, at once, while somebody makes it fail; and afterwards whether they got what
 * the contract promises: every keyed event once and in the same order everywhere, streams complete across every cut,
 * every operation once at each handler, every submission one task, every task one result, no read older than an
 * acknowledged write, and what several clients did to one thing explained by some order.
 */
import { createClient } from "../../../src/client/index.ts";
import {
  followEvents,
  handleOperations,
  nameOf,
  PATIENCE_MS,
  pause,
  proveTasks,
  putOperations,
  readBack,
  submitBatches,
  submitTasks,
  type Work,
  writeEvents,
} from "./clients.ts";
import { type AcknowledgedEvent, Ledger } from "./ledger.ts";
import { raceForRegisters } from "./registers.ts";

/** Tasks looked at together. */
const AT_ONCE = 20;
const BATCH_ITEMS = 5;

export interface LoadOptions {
  readonly url: string;
  readonly replicas: readonly string[];
  /** Told apart from other loads on the same cluster. */
  readonly name: string;
  readonly writers: number;
  readonly readers: number;
  /** Between the writes of each. */
  readonly pause_ms: number;
  /** Tasks of a batch; 5 where absent. */
  readonly batch_items?: number;
}

/** So far. */
export interface Progress {
  readonly events: number;
  readonly operations: number;
  readonly tasks: number;
  /** Leases whose proof was accepted. */
  readonly completions: number;
  readonly reads: number;
  readonly raced: number;
  readonly broken: number;
}

export interface Findings {
  readonly events: number;
  readonly operations: number;
  readonly tasks: number;
  /** Repeats of what had been acknowledged, that gave the first answer. */
  readonly repeats: number;
  readonly reads: number;
  /** Operations on registers, put into an order that explains them. */
  readonly raced: number;
  readonly resumed: number;
  readonly handler_crashes: number;
  readonly again: Readonly<Record<string, number>>;
  /** Promises that were not kept, in words. */
  readonly broken: readonly string[];
}

export interface Load {
  /** Events acknowledged so far, as they came in. */
  readonly acknowledged: readonly AcknowledgedEvent[];
  progress(): Progress;
  /** When every replica is there again: lets everybody finish, and looks at everything. */
  stop(): Promise<Findings>;
}

export async function startLoad(options: LoadOptions): Promise<Load> {
  const { url, replicas, name, writers, readers, pause_ms } = options;
  const client = createClient({ url, retry_for_ms: PATIENCE_MS });
  const ledger = new Ledger();
  const reading = new AbortController();
  let stopping = false;
  let provers_stopping = false;
  const urls = [url, ...replicas.map((replica) => `${url}/replicas/${replica}`)];
  const work: Work = { ledger, url, urls, pause_ms, stopping: () => stopping };
  const { last: first = "0" } = await client.events.list({ after: "latest" });
  const latest = await client.events.list({ after: "latest", include: "system" });
  const position = Number.parseInt(latest.last ?? "0", 10);

  const told = (error: unknown) => void ledger.broken.push(`a client gave up: ${String(error)}`);
  const each = (count: number, begin: (nth: number) => Promise<void>): readonly Promise<void>[] =>
    Array.from({ length: count }, (_, nth) => begin(nth).catch(told));
  const writing = [
    ...each(writers, (nth) => writeEvents(work, `${name}-w${nth}`)),
    ...each(readers, (nth) => readBack(work, nth)),
    putOperations(work, `${name}-o`),
    submitTasks(work, `${name}-t`),
    ...each(1, () => submitBatches(work, `${name}-b`, options.batch_items ?? BATCH_ITEMS)),
    ...each(1, () => raceForRegisters(work, `${name}-r`)),
  ];
  const provers = { ...work, stopping: () => provers_stopping };
  const proving = each(2, (nth) => proveTasks(provers, `${name}-p${nth}`));
  const followers = urls.flatMap((at) => {
    const where = nameOf(at);
    const stream = { where, texts: [], resumed: 0 };
    const handler = { where, effects: [], position, crashes: 0 };
    ledger.streams.push(stream);
    ledger.handlers.push(handler);
    return [
      followEvents(work, stream, at, first, reading.signal),
      handleOperations(work, handler, at, reading.signal),
    ];
  });

  return {
    acknowledged: ledger.events,
    progress: () => ({
      events: ledger.events.length,
      operations: ledger.operations.size,
      tasks: ledger.tasks.size,
      completions: ledger.accepted.size,
      reads: ledger.readsChecked,
      raced: ledger.raced,
      broken: ledger.broken.length,
    }),
    async stop() {
      stopping = true;
      await Promise.all(writing);
      const checks = new Checks(ledger, url, urls);
      await checks.tasks();
      provers_stopping = true;
      await Promise.all(proving);
      await checks.events(first);
      await checks.operations(position);
      reading.abort(new Error("the load has ended"));
      await Promise.all(followers);
      return {
        events: ledger.events.length,
        operations: ledger.operations.size,
        tasks: ledger.tasks.size,
        repeats: ledger.repeats,
        reads: ledger.readsChecked,
        raced: ledger.raced,
        resumed: ledger.streams.reduce((sum, { resumed }) => sum + resumed, 0),
        handler_crashes: ledger.handlers.reduce((sum, { crashes }) => sum + crashes, 0),
        again: Object.fromEntries(ledger.again),
        broken: ledger.broken,
      };
    },
  };
}

/** Holds what clients were told against what the cluster shows now. */
class Checks {
  readonly #ledger: Ledger;
  readonly #url: string;
  readonly #urls: readonly string[];

  constructor(ledger: Ledger, url: string, urls: readonly string[]) {
    this.#ledger = ledger;
    this.#url = url;
    this.#urls = urls;
  }

  async tasks(): Promise<void> {
    const ledger = this.#ledger;
    const { tasks } = createClient({ url: this.#url, retry_for_ms: PATIENCE_MS });
    const ids = [...ledger.tasks.values()];
    ledger.expect(new Set(ids).size === ids.length, () => "two submissions share a task");
    const deadline = Date.now() + PATIENCE_MS;
    const check = async (task_id: string): Promise<void> => {
      const { status } = await tasks.wait(task_id, { timeout_ms: Math.max(0, deadline - Date.now()) });
      ledger.expect(status === "completed", () => `task ${task_id} is ${status}`);
      const { items } = await tasks.attempts(task_id);
      const completed = items.filter(({ outcome }) => outcome === "completed");
      ledger.expect(completed.length === 1, () => `task ${task_id} has ${completed.length} results`);
    };
    for (let at = 0; at < ids.length; at += AT_ONCE)
      await Promise.all(ids.slice(at, at + AT_ONCE).map(check));
    for (const [task_id, leases] of ledger.accepted) {
      ledger.expect(leases.size === 1, () => `task ${task_id} was completed by ${[...leases].join(" and ")}`);
    }
  }

  async events(first: string): Promise<void> {
    const ledger = this.#ledger;
    const lists = await Promise.all(this.#urls.map((url) => this.#shown(`${url}/events?after=${first}`)));
    const [shown = ""] = lists;
    for (const [nth, list] of lists.entries())
      ledger.expect(
        list === shown,
        () => `${nameOf(this.#urls[nth] ?? "")} shows other events than the router`,
      );
    const { events } = JSON.parse(shown) as {
      readonly events: readonly { readonly Critical: { readonly Written?: { readonly key: string } } }[];
    };
    const keys = events.map(({ Critical }) => Critical.Written?.key);
    ledger.expect(new Set(keys).size === keys.length, () => "some event stands twice in the log");
    for (const { key, seq } of ledger.events)
      ledger.expect(keys[seq - Number(first) - 1] === key, () => `event ${key} is not at ${seq}`);
    const in_order = ledger.events.toSorted((a, b) => a.seq - b.seq);
    for (const [nth, { key, log_index }] of in_order.entries())
      ledger.expect(log_index > (in_order[nth - 1]?.log_index ?? 0), () => `event ${key} is out of order`);
    const texts = events.map((event) => JSON.stringify(event));
    for (const stream of ledger.streams) {
      const complete = await eventually(() => stream.texts.length >= texts.length);
      ledger.expect(complete && stream.texts.join("\n") === texts.join("\n"), () => {
        const at = texts.findIndex((text, nth) => text !== stream.texts[nth]);
        return `the stream at ${stream.where} has ${stream.texts.length} of ${texts.length} events, and ${stream.texts[at]} at ${at} instead of ${texts[at]}`;
      });
    }
  }

  async operations(position: number): Promise<void> {
    const ledger = this.#ledger;
    const lists = await Promise.all(this.#urls.map((url) => this.#shown(`${url}/api/v1/operations/export`)));
    const [exported = ""] = lists;
    for (const [nth, list] of lists.entries())
      ledger.expect(list === exported, () => `${nameOf(this.#urls[nth] ?? "")} shows other operations`);
    const operations = exported
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as { operation_id: string; log_index: number; state: string })
      .filter(({ state, log_index }) => state === "COMMITTED" && log_index > position)
      .map(({ operation_id, log_index }) => ({ operation_id, log_index }));
    const indexes = new Map(operations.map(({ operation_id, log_index }) => [operation_id, log_index]));
    ledger.expect(indexes.size === operations.length, () => "some operation stands twice in the log");
    for (const [id, log_index] of ledger.operations)
      ledger.expect(indexes.get(id) === log_index, () => `operation ${id} is not at ${log_index}`);
    for (const { where, effects } of ledger.handlers) {
      const complete = await eventually(() => effects.length >= operations.length);
      ledger.expect(complete && JSON.stringify(effects) === JSON.stringify(operations), () => {
        const at = operations.findIndex(
          ({ operation_id }, nth) => operation_id !== effects[nth]?.operation_id,
        );
        return `the handler at ${where} gave ${effects.length} of ${operations.length} operations effect, and ${effects[at]?.operation_id} at ${at} instead of ${operations[at]?.operation_id}`;
      });
    }
  }

  /** What is answered there, asked for until it is. */
  async #shown(address: string): Promise<string> {
    for (const deadline = Date.now() + PATIENCE_MS; ; await pause(100)) {
      try {
        const response = await fetch(address);
        const text = await response.text();
        if (response.ok) return text;
        if (Date.now() > deadline) throw new Error(`${address}: ${response.status} ${text}`);
      } catch (error) {
        if (Date.now() > deadline) throw error;
      }
    }
  }
}

async function eventually(condition: () => boolean): Promise<boolean> {
  for (const deadline = Date.now() + PATIENCE_MS; Date.now() < deadline; await pause(20))
    if (condition()) return true;
  return condition();
}
