import { expect, test } from "vitest";
import { Replica, voters } from "./harness/replica.ts";

test("a group of one elects itself, commits and serves reads, waiting only for its own disk", () => {
  const alone = new Replica("a", { configuration: voters("a") });
  expect(alone.raft.wakeAt).toBe(0);
  alone.tick(0);
  expect(alone.status).toMatchObject({ role: "leader", term: 1, commit: 1 });
  alone.propose("x", "y");
  expect(alone.committed.map((entry) => entry.type)).toEqual(["barrier", "command", "command"]);
  alone.read("r");
  expect(alone.reads).toEqual([{ type: "granted", id: "r", index: 3 }]);
  expect(alone.raft.wakeAt).toBeUndefined();
});

test("three replicas elect, replicate, commit and restart", () => {
  const replicas = new Map(["a", "b", "c"].map((id) => [id, new Replica(id)]));
  const [a] = [...replicas.values()];
  if (a === undefined) throw new Error();
  const deliver = (sent: ReturnType<Replica["pump"]>) => {
    for (const message of sent) deliver(replicas.get(message.to)?.step(message) ?? []);
  };
  deliver(a.wake());
  expect(a.status).toMatchObject({ role: "leader", term: 1, commit: 1 });
  deliver(a.propose("x", "y"));
  for (const replica of replicas.values()) expect(replica.status.commit).toBe(3);
  deliver(a.read("r"));
  expect(a.reads).toEqual([{ type: "granted", id: "r", index: 3 }]);
  a.restart();
  expect(a.status).toMatchObject({ role: "follower", term: 1, vote: "a" });
});
