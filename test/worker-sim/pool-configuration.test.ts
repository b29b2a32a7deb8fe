/** What the environment tells a pool, and that a wrong value is one sentence with name, value and what is allowed. */
import { availableParallelism } from "node:os";
import { expect, test } from "vitest";
import { identifier } from "../../src/api/fields.ts";
import { UsageProblem } from "../../worker-sim/cluster/problem.ts";
import { readPoolConfiguration } from "../../worker-sim/pool/configuration.ts";

test("an empty environment is the local router, a name of its own and a thread per core", () => {
  const { worker_id, ...rest } = readPoolConfiguration({});
  expect(rest).toEqual({ urls: ["http://localhost:8080"], threads: availableParallelism() });
  expect(identifier.safeParse(worker_id).success).toBe(true);
  expect(readPoolConfiguration({}).worker_id).not.toBe(worker_id);
});

test("every variable is read", () => {
  const env = {
    TROIKA_URL: "http://localhost:8090, https://troika.example",
    TROIKA_TOKEN: "secret",
    WORKER_ID: "pool-1",
    CONCURRENCY: "3",
    PREFETCH: "0",
    DRAIN_MS: "500",
    CIRCUITS: "range, preimage,range",
  };
  expect(readPoolConfiguration(env)).toEqual({
    urls: ["http://localhost:8090", "https://troika.example"],
    token: "secret",
    worker_id: "pool-1",
    threads: 3,
    prefetch: 0,
    drain_ms: 500,
    circuits: ["range", "preimage"],
  });
});

test("MASTER_URL is another name for TROIKA_URL, which wins", () => {
  expect(readPoolConfiguration({ MASTER_URL: "http://a" }).urls).toEqual(["http://a"]);
  expect(readPoolConfiguration({ MASTER_URL: "http://a", TROIKA_URL: "http://b" }).urls).toEqual([
    "http://b",
  ]);
});

test.each([
  [
    { TROIKA_URL: "localhost:8080" },
    'TROIKA_URL is "localhost:8080", but "localhost:8080" in it is not an http',
  ],
  [{ MASTER_URL: "," }, 'MASTER_URL is ",", but it must be an address'],
  [{ CONCURRENCY: "0" }, 'CONCURRENCY is "0", but it must be a whole number from 1 to 256.'],
  [{ CONCURRENCY: "two" }, 'CONCURRENCY is "two", but'],
  [{ DRAIN_MS: "-1" }, 'DRAIN_MS is "-1", but it must be a whole number from 0 to'],
  [{ CIRCUITS: "range,sudoku" }, 'CIRCUITS is "range,sudoku", but "sudoku" in it is none of merkle, '],
  [{ WORKER_ID: "a b" }, 'WORKER_ID is "a b", but it must be 1 to 128 letters'],
])("%j is refused", (env, sentence) => {
  expect(() => readPoolConfiguration(env)).toThrow(UsageProblem);
  expect(() => readPoolConfiguration(env)).toThrow(sentence);
});
