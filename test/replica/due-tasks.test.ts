/** Tasks whose time comes while nobody asks for anything: the leader proposes, and every replica shows the same. */
import { afterEach, expect, test } from "vitest";
import { taskOf } from "../coordinator/machine.ts";
import { Group, NAMES } from "./harness.ts";

let group: Group;
afterEach(() => group.release());

async function statuses(task_id: string): Promise<readonly string[]> {
  const query = { type: "task", task_id };
  const reads = NAMES.map((name) =>
    group.time.outcome(
      group.call<{ result: { status: string } }>(name, "/read", { query, consistency: "stale" }),
    ),
  );
  return (await Promise.all(reads)).map(({ result }) => result.status);
}

async function submit(task: Parameters<typeof taskOf>[0]): Promise<void> {
  await group.apply({ type: "submit-task", task: taskOf(task) });
}

const everywhere = (status: string) => NAMES.map(() => status);

test("a delay and a deadline are over on time, also after a change of leader", async () => {
  group = await Group.founded();
  const began = Date.now();
  await submit({ task_id: "a", delay_ms: 2_000 });
  await submit({ task_id: "b", deadline: began + 2_000 });
  await submit({ task_id: "c", deadline: began + 30_000 });
  await group.time.pass(1_500);
  expect([await statuses("a"), await statuses("b")]).toEqual([
    everywhere("scheduled"),
    everywhere("pending"),
  ]);
  await group.time.pass(1_000);
  expect([await statuses("a"), await statuses("b")]).toEqual([everywhere("pending"), everywhere("expired")]);

  const { leader } = group;
  await group.fault(leader, "stop");
  await group.time.pass(1_000);
  await group.fault(leader, "start");
  await group.time.pass(28_000);
  expect(group.leader).not.toBe(leader);
  expect(await statuses("c")).toEqual(everywhere("expired"));
});

test("a thousand deadlines at once take a few bounded entries, and nothing is written when all have passed", async () => {
  group = await Group.founded();
  const deadline = Date.now() + 10_000;
  const submissions = Array.from({ length: 1_000 }, (_, at) => submit({ task_id: `t${at}`, deadline }));
  await Promise.all(submissions);
  const index = async () =>
    ((await group.time.outcome(group.read(group.leader))) as { applied_index: number }).applied_index;
  const before = await index();
  expect(Date.now()).toBeLessThan(deadline);
  await group.time.pass(deadline - Date.now() + 1_000);
  for (const at of [0, 500, 999]) expect(await statuses(`t${at}`)).toEqual(everywhere("expired"));
  const after = await index();
  expect(after - before).toBe(5);
  await group.time.pass(5_000);
  expect(await index()).toBe(after);
});
