/**
 * Tasks of every shape against a running cluster (`npm start`), each proof checked by snarkjs with the published key:
 * a hundred submissions at once, and trees of many sizes with the first, the last and other leaves.
 *
 *     node bench/tasks.ts [http://127.0.0.1:8080]
 */
import { groth16 } from "snarkjs";

interface Task {
  readonly status: string;
  readonly error?: string;
  readonly public_inputs: readonly string[];
}

const url = process.argv[2] ?? "http://127.0.0.1:8080";
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function get<Body>(path: string): Promise<Body> {
  const response = await fetch(url + path);
  if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as Body;
}

async function submit(leaves: readonly string[], leaf_index: number): Promise<string> {
  const response = await fetch(`${url}/api/v1/tasks/merkle`, {
    method: "POST",
    body: JSON.stringify({ leaves, leaf_index }),
  });
  const body = (await response.json()) as { task_id: string; error?: string };
  if (response.status !== 202 && response.status !== 200) {
    throw new Error(`submission of ${leaves.length} leaves: ${response.status} ${body.error}`);
  }
  return body.task_id;
}

async function settled(id: string): Promise<Task> {
  for (;;) {
    const task = await get<Task>(`/api/v1/tasks/${id}`);
    if (task.status === "completed" || task.status === "failed") return task;
    await pause(250);
  }
}

const { verifying_key } = await get<{ verifying_key: unknown }>("/api/v1/circuits/merkle");

async function check(name: string, ids: readonly string[]): Promise<void> {
  const began = performance.now();
  let verified = 0;
  for (const id of ids) {
    const task = await settled(id);
    if (task.status !== "completed") throw new Error(`${name}: task ${id} ${task.status}: ${task.error}`);
    const proof = await get<unknown>(`/api/v1/tasks/${id}/proof`);
    if (!(await groth16.verify(verifying_key, task.public_inputs, proof))) {
      throw new Error(`${name}: snarkjs refuses the proof of task ${id}`);
    }
    verified++;
  }
  const seconds = (performance.now() - began) / 1000;
  console.log(
    `${name}: ${ids.length} submitted, ${verified} completed and verified by snarkjs, ${seconds.toFixed(0)} s`,
  );
}

const hundred = await Promise.all(
  Array.from({ length: 100 }, (_, i) => submit([`0x${`${i + 1}`.repeat(3)}`], 0)),
);
await check("100 at once", hundred);

const small = [1, 2, 3, 5, 6, 9].flatMap((count) =>
  Array.from({ length: count }, (_, index) => ({ count, index })),
);
const large = [256, 1000].flatMap((count) =>
  [0, 1, count >> 1, count - 2, count - 1].map((index) => ({ count, index })),
);
for (const [name, shapes] of [
  ["1, 2, 3, 5, 6 and 9 leaves, every index", small],
  ["256 and 1,000 leaves, first, last and others", large],
] as const) {
  const ids: string[] = [];
  for (const { count, index } of shapes) {
    const leaves = Array.from({ length: count }, (_, leaf) => `0x${(leaf * 7919 + 1).toString(16)}`);
    ids.push(await submit(leaves, index));
  }
  await check(name, ids);
}
// snarkjs keeps threads of its own, which would keep this process.
process.exit(0);
