/**
 * Clients that race for the same thing through every address, and whether some order of what they did, one at a time,
 * explains what each was told: the search that also judges the simulation. Two things of the contract are registers: the
 * labels of a worker, which every registration overwrites, and the id of an operation, which the first PUT takes.
 *
 * Nothing is repeated here: one request is one operation. An answer of 503 or 429 says that nothing happened, so that
 * operation must never be seen; one without an answer, or with "outcome unknown", may be seen from then on, or never.
 */
import { type Operation, unexplained } from "../../simulation/linearizability.ts";
import { answerOf, nameOf, pause, READ_MS, type Work } from "./clients.ts";

const RACERS = 4;
/** All of a history together stay below what the search takes. */
const TURNS = 10;
/** Told to stop, nobody races on beyond this many operations. */
const ENOUGH = 8;

type Changed = "took-place" | "did-not" | "nothing-happened" | "unknown";

interface Register {
  readonly type: "write" | "compare-and-set";
  change(url: string, key: string, value: number): Promise<Changed>;
  /** 0 where nothing was written, undefined where there is no answer. */
  read(url: string, key: string): Promise<number | undefined>;
  /** When nobody races for it any more. */
  forget?(url: string, key: string): Promise<void>;
}

interface Answered {
  readonly status: number;
  readonly body: unknown;
}

function changed(answer: Answered | undefined, taken: number): Changed {
  const status = answer?.status;
  if (status === 200 || status === 201) return "took-place";
  if (status === taken) return "did-not";
  if (status === 503 || status === 429) return "nothing-happened";
  if (status === undefined || status === 202 || status >= 500) return "unknown";
  throw new Error(`a register answered ${status}: ${JSON.stringify(answer?.body)}`);
}

function request(method: string, body: object): RequestInit {
  return { method, body: JSON.stringify(body) };
}

const labels: Register = {
  type: "write",
  async change(url, key, value) {
    const worker = { worker_id: key, boot_id: key, max_concurrent_tasks: 1, circuits: [] };
    const body = { ...worker, labels: { value: String(value) } };
    return changed(await answerOf(`${url}/api/v1/workers`, request("POST", body)), Number.NaN);
  },
  async read(url, key) {
    const answer = await answerOf(`${url}/api/v1/workers/${key}`, {}, READ_MS);
    if (answer?.status === 404) return 0;
    if (answer?.status !== 200) return undefined;
    return Number((answer.body as { readonly labels: { readonly value: string } }).labels.value);
  },
  async forget(url, key) {
    await answerOf(`${url}/api/v1/workers/${key}`, { method: "DELETE" });
  },
};

const firstPut: Register = {
  type: "compare-and-set",
  async change(url, key, value) {
    const body = { type: "note", payload: { id: key, value } };
    return changed(await answerOf(`${url}/api/v1/operations/${key}`, request("PUT", body)), 422);
  },
  async read(url, key) {
    const answer = await answerOf(`${url}/api/v1/operations/${key}`, {}, READ_MS);
    if (answer?.status === 404) return 0;
    if (answer?.status !== 200) return undefined;
    const { state, payload } = answer.body as {
      readonly state: string;
      readonly payload: { readonly value: number };
    };
    return state === "COMMITTED" ? payload.value : 0;
  },
};

/** One race after the other, each for a new register. */
export async function raceForRegisters(work: Work, name: string): Promise<void> {
  let count = 0;
  do {
    await race(work, labels, `${name}l-${count}`);
    await race(work, firstPut, `${name}p-${count}`);
    count++;
  } while (!work.stopping());
}

async function race(work: Work, register: Register, name: string): Promise<void> {
  const { ledger, urls, pause_ms } = work;
  const history: (Operation & { readonly where: string })[] = [];
  const racer = async (nth: number): Promise<void> => {
    for (let turn = 0; turn < TURNS && !(work.stopping() && history.length >= ENOUGH); turn++) {
      const operation = 1 + nth * TURNS + turn;
      const url = urls[(nth + 3 * turn) % urls.length] ?? "";
      const called = performance.now();
      const about = { operation, key: 0, where: nameOf(url), called };
      if ((nth + turn) % 3 === 0) {
        const outcome = await register.change(url, name, operation);
        const answered = outcome === "unknown" ? Number.POSITIVE_INFINITY : performance.now();
        const conditional = register.type === "write" ? {} : { expected: 0 };
        const result = outcome === "unknown" ? {} : { result: outcome === "took-place" };
        if (outcome !== "nothing-happened")
          history.push({ ...about, type: register.type, ...conditional, ...result, answered });
      } else {
        const result = await register.read(url, name);
        if (result !== undefined)
          history.push({ ...about, type: "read", result, answered: performance.now() });
      }
      await pause(pause_ms);
    }
  };
  await Promise.all(Array.from({ length: RACERS }, (_, nth) => racer(nth)));
  const wrong = unexplained(history);
  ledger.expect(wrong === undefined, () => {
    return `no order explains what was seen of ${name}: ${JSON.stringify(wrong)}`;
  });
  if (wrong === undefined) ledger.raced += history.length;
  await register.forget?.(work.url, name);
}
