/**
 * Clients that do what the contract tells them to: repeat under the same key or id until there is a definite answer,
 * resume streams where they were, give effect to operations once. Each runs until it is told to stop, and then finishes
 * what it has begun.
 */
import { type Client, ClientError, createClient } from "../../../src/client/index.ts";
import { noop } from "../../../src/proofs/noop/circuit.ts";
import type { HandlerLedger, Ledger, StreamLedger } from "./ledger.ts";

/** Longer than any failure lasts. */
export const PATIENCE_MS = 60_000;
const RETRY_PAUSE_MS = 10;
const SLOTS = 4;
const BATCH_PAUSES = 10;
/** Tasks without a proof beyond which no further batch comes: provers on a busy machine are slow. */
const BACKLOG = 200;
/** A replica without a leader says so only after the contract's 5 s: a reader does not wait for that. */
export const READ_MS = 1_000;

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A name for what is at this address: the router, or a replica. */
export function nameOf(url: string): string {
  return /\/replicas\/([^/]+)$/.exec(url)?.[1] ?? "router";
}

export interface Work {
  readonly ledger: Ledger;
  /** Of the router. */
  readonly url: string;
  /** The router's, and each replica's own. */
  readonly urls: readonly string[];
  readonly pause_ms: number;
  readonly stopping: () => boolean;
}

function clientAt(...urls: readonly string[]): Client {
  return createClient({ urls, retry_for_ms: PATIENCE_MS });
}

/** All addresses, from the nth on: whoever repeats something elsewhere goes on from a replica that is down to the next. */
function from(nth: number, urls: readonly string[]): readonly string[] {
  return urls.map((_, index) => urls[(nth + index) % urls.length] ?? "");
}

function clientsFrom(urls: readonly string[]): readonly Client[] {
  return urls.map((_, nth) => clientAt(...from(nth, urls)));
}

/** Appends one event after the other, each repeated under its key until it is acknowledged; some again after that. */
export async function writeEvents(
  { ledger, url, urls, pause_ms, stopping }: Work,
  name: string,
): Promise<void> {
  for (let count = 0; !stopping(); count++) {
    const key = `${name}-${count}`;
    const first = await append(ledger, [url], key);
    if (first !== undefined) ledger.events.push(first);
    if (first !== undefined && count % 10 === 0) {
      const again = await append(ledger, from(count, urls), key);
      ledger.repeats++;
      ledger.expect(
        again?.seq === first.seq,
        () => `event ${key} is ${first.seq}, and repeated ${again?.seq}`,
      );
    }
    await pause(pause_ms);
  }
}

async function append(ledger: Ledger, urls: readonly string[], key: string) {
  const body = JSON.stringify({ event: { Critical: { Written: { key } } } });
  const headers = { "idempotency-key": key };
  const deadline = performance.now() + PATIENCE_MS;
  for (let nth = 0; performance.now() < deadline; nth++) {
    const sent_at = performance.now();
    const answer = await answerOf(`${urls[nth % urls.length]}/events`, { method: "POST", body, headers });
    if (answer?.status === 200) {
      const { seq, log_index } = answer.body as { readonly seq: number; readonly log_index: number };
      return { key, seq, log_index, sent_at, at: performance.now() };
    }
    const status = String(answer?.status ?? "no answer");
    if (answer !== undefined && answer.status < 503) {
      ledger.broken.push(`event ${key}: ${status} ${JSON.stringify(answer.body)}`);
      return undefined;
    }
    ledger.again.set(status, (ledger.again.get(status) ?? 0) + 1);
    await pause(RETRY_PAUSE_MS);
  }
  ledger.broken.push(`event ${key} was not acknowledged within ${PATIENCE_MS} ms`);
  return undefined;
}

/** Undefined where there is none: the process is down, or the connection was cut. */
export async function answerOf(
  url: string,
  init: RequestInit,
  timeout_ms = 15_000,
): Promise<{ readonly status: number; readonly body: unknown } | undefined> {
  try {
    const response = await fetch(url, { ...init, signal: AbortSignal.timeout(timeout_ms) });
    return { status: response.status, body: await response.json() };
  } catch {
    return undefined;
  }
}

/** Whoever answers must show the event that was acknowledged last before it was asked. */
export async function readBack({ ledger, urls, stopping }: Work, offset: number): Promise<void> {
  for (let count = offset; !stopping(); count++) {
    const last = ledger.events.at(-1);
    const url = urls[count % urls.length] ?? "";
    if (last !== undefined) {
      const answer = await answerOf(`${url}/events?after=${last.seq - 1}&limit=1`, {}, READ_MS);
      if (answer?.status === 200) {
        ledger.readsChecked++;
        ledger.expect(JSON.stringify(answer.body).includes(`"${last.key}"`), () => {
          return `a read at ${nameOf(url)} misses ${last.key}, acknowledged as ${last.seq}: ${JSON.stringify(answer.body)}`;
        });
      }
    }
    await pause(15);
  }
}

/** Puts one operation after the other, each until it is COMMITTED; some again after that. */
export async function putOperations(
  { ledger, url, urls, pause_ms, stopping }: Work,
  name: string,
): Promise<void> {
  const { operations } = clientAt(url);
  const others = clientsFrom(urls);
  for (let count = 0; !stopping(); count++) {
    const id = `${name}-${count}`;
    const operation = { type: "note", payload: { id } };
    try {
      if (count % 4 === 0) await operations.put(id, operation, { wait: 0 });
      const { state, log_index } = await operations.put(id, operation);
      ledger.expect(state === "COMMITTED", () => `operation ${id} was put, and is ${state}`);
      ledger.operations.set(id, log_index);
      if (count % 10 === 0) {
        const again = await others[count % others.length]?.operations.put(id, operation);
        ledger.repeats++;
        ledger.expect(again?.log_index === log_index, () => {
          return `operation ${id} stands at ${log_index}, and repeated at ${again?.log_index}`;
        });
      }
    } catch (error) {
      ledger.broken.push(`operation ${id}: ${String(error)}`);
    }
    await pause(pause_ms);
  }
}

/** Submits one task after the other, some twice under their key. */
export async function submitTasks(
  { ledger, url, urls, pause_ms, stopping }: Work,
  name: string,
): Promise<void> {
  const { tasks } = clientAt(url);
  const others = clientsFrom(urls);
  for (let count = 0; !stopping(); count++) {
    const idempotency_key = `${name}-${count}`;
    const input = { data: idempotency_key };
    try {
      const { task_id } = await tasks.submit(noop.name, input, { idempotency_key });
      ledger.tasks.set(idempotency_key, task_id);
      if (count % 5 === 0) {
        const other = others[count % others.length]?.tasks;
        const again = await other?.submit(noop.name, input, { idempotency_key });
        ledger.repeats++;
        ledger.expect(again?.task_id === task_id, () => {
          return `submission ${idempotency_key} is task ${task_id}, and repeated ${again?.task_id}`;
        });
      }
    } catch (error) {
      ledger.broken.push(`submission ${idempotency_key}: ${String(error)}`);
    }
    await pause(pause_ms);
  }
}

/** Submits one batch after the other under its key, some twice. They come less often than single submissions. */
export async function submitBatches(
  { ledger, url, urls, pause_ms, stopping }: Work,
  name: string,
  size: number,
): Promise<void> {
  const { tasks } = clientAt(url);
  const others = clientsFrom(urls);
  for (let count = 0; !stopping(); count++) {
    const idempotency_key = `${name}-${count}`;
    const items = Array.from({ length: size }, (_, nth) => ({
      circuit: noop.name,
      input: { data: `${idempotency_key}-${nth}` },
    }));
    try {
      const first = await tasks.batch(items, { idempotency_key });
      for (const item of first.items) {
        if ("task_id" in item) ledger.tasks.set(`${idempotency_key}-${item.index}`, item.task_id);
        else ledger.broken.push(`item ${item.index} of batch ${idempotency_key}: ${item.problem.detail}`);
      }
      if (count % 5 === 0) {
        const again = await others[count % others.length]?.tasks.batch(items, { idempotency_key });
        ledger.repeats++;
        const ids = ({ items }: typeof first) =>
          items.map((item) => "task_id" in item && item.task_id).join();
        ledger.expect(again !== undefined && ids(again) === ids(first), () => {
          return `batch ${idempotency_key} is other tasks when it is repeated`;
        });
      }
    } catch (error) {
      ledger.broken.push(`batch ${idempotency_key}: ${String(error)}`);
    }
    for (let nth = 0; nth < BATCH_PAUSES && !stopping(); nth++) await pause(pause_ms);
    while (ledger.tasks.size - ledger.accepted.size > BACKLOG && !stopping()) await pause(pause_ms);
  }
}

/** Pulls, proves (nothing) and completes until it is told to stop. What it lost the lease of is another's by then. */
export async function proveTasks({ ledger, url, stopping }: Work, worker_id: string): Promise<void> {
  const { workers } = clientAt(url);
  const boot_id = crypto.randomUUID();
  const held = new Set<string>();
  const circuits = [{ name: noop.name, vk_hash: noop.vk_hash }];
  const register = () =>
    workers.register({ worker_id, boot_id, max_concurrent_tasks: SLOTS, circuits, labels: {} });
  const { heartbeat_interval_ms } = await register();
  const beat = async (): Promise<void> => {
    while (!stopping()) {
      const leases = Array.from(held, (lease_id) => ({ lease_id }));
      await orRegister(register, () => workers.heartbeat(worker_id, { boot_id, leases }));
      // Told to stop, nobody waits for a whole interval.
      for (const due = performance.now() + heartbeat_interval_ms; performance.now() < due && !stopping(); )
        await pause(50);
    }
  };
  const prove = async (count: number): Promise<void> => {
    const leases = await orRegister(register, () =>
      workers.pull(worker_id, { boot_id, max: SLOTS, wait: 0.5 }),
    );
    for (const { lease_id } of leases ?? []) held.add(lease_id);
    for (const { lease_id, task_id, public_inputs } of leases ?? []) {
      const completion = { worker_id, proof: {}, public_inputs, duration_ms: 1 };
      try {
        await workers.complete(lease_id, completion);
        const known = ledger.accepted.get(task_id) ?? new Set();
        ledger.accepted.set(task_id, known.add(lease_id));
        if (count % 5 === 0) {
          const again = await workers.complete(lease_id, completion);
          ledger.repeats++;
          ledger.expect(again.duplicate === true, () => `completion of ${lease_id} was accepted twice`);
        }
      } catch (error) {
        const superseded = error instanceof ClientError && error.status === 409;
        ledger.expect(superseded, () => `completion of ${lease_id}: ${String(error)}`);
      }
      held.delete(lease_id);
    }
  };
  const proving = async (): Promise<void> => {
    for (let count = 0; !stopping(); count++) await prove(count);
  };
  await Promise.all([beat(), proving()]);
}

/** A worker that is not known any more registers again, and goes on with its next call. */
async function orRegister<Answer>(
  register: () => Promise<unknown>,
  call: () => Promise<Answer>,
): Promise<Answer | undefined> {
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof ClientError) || error.code !== "worker-unknown") throw error;
    await register();
    return undefined;
  }
}

/** Follows the events behind `after` at one address; after every tenth it crashes, and resumes where it was. */
export async function followEvents(
  { ledger }: Work,
  stream: StreamLedger,
  url: string,
  after: string,
  signal: AbortSignal,
): Promise<void> {
  const { events } = clientAt(url);
  let position = after;
  while (!signal.aborted) {
    try {
      for await (const { id, text } of events.stream({ after: position, signal })) {
        if (id === undefined) continue;
        position = id;
        if (stream.texts.push(text) % 10 === 0) break;
      }
    } catch (error) {
      if (!signal.aborted) ledger.broken.push(`the stream at ${stream.where}: ${String(error)}`);
      return;
    }
    stream.resumed++;
  }
}

/** Gives effect to operations at one address; crashes before some effects and after others, and goes on where it was. */
export async function handleOperations(
  { ledger }: Work,
  handler: HandlerLedger,
  url: string,
  signal: AbortSignal,
): Promise<void> {
  const { operations } = clientAt(url);
  let seen = 0;
  while (!signal.aborted) {
    try {
      for await (const { operation_id, log_index, payload } of operations.committed({
        after: handler.position,
        signal,
      })) {
        if (++seen % 5 === 0) break;
        ledger.expect((payload as { readonly id?: string } | undefined)?.id === operation_id, () => {
          return `operation ${operation_id} came to a handler with ${JSON.stringify(payload)}`;
        });
        handler.effects.push({ operation_id, log_index });
        handler.position = log_index;
        if (seen % 4 === 0) break;
      }
    } catch (error) {
      if (!signal.aborted) ledger.broken.push(`the handler at ${handler.where}: ${String(error)}`);
      return;
    }
    handler.crashes++;
  }
}
