/** Operations on their way, as a replica knows of them from its log and from what its peers hold. */
import { describe, expect, test } from "vitest";
import type { Command } from "../../src/coordinator/commands.ts";
import { createCoordinator, createMemoryRecords } from "../../src/coordinator/index.ts";
import type { Configuration, Status } from "../../src/raft/index.ts";
import type { QueryAnswers } from "../../src/replica/rpc.ts";
import { Store } from "../../src/replica/store.ts";
import { answerWithTail, Tail } from "../../src/replica/tail.ts";
import { putOperation } from "../coordinator/machine.ts";
import { Disk, storageOn } from "./platform.ts";

const THREE: Configuration = { type: "stable", voters: ["a", "b", "c"], learners: ["d"] };
const base = { id: "a", term: 3, lastLog: { index: 4, term: 3 }, applied: 1, quiesced: false } as const;

function leading(
  matched: Readonly<Record<string, number>>,
  commit = 1,
  configuration: Configuration = THREE,
): Status {
  const progress = Object.entries(matched).map(([id, index]) => {
    return [id, { type: "probe", matched: index, next: index + 1, waiting: false }] as const;
  });
  return { ...base, role: "leader", commit, configuration, progress: new Map(progress) };
}

/** Entries 1 to 4 put operations o1, o2, o3 and o2 again; entry 1 is applied. */
function holding(status: Status) {
  const coordinator = createCoordinator({ records: createMemoryRecords() });
  const store = new Store(storageOn(new Disk()));
  const entries = ["o1", "o2", "o3", "o2"].map((operation_id, at) => {
    const command: Command = { v: 1, id: `c${at}`, ...putOperation(operation_id, { payload: `[${at}]` }) };
    return { type: "command", index: at + 1, term: 3, time: 1, command } as const;
  });
  store.write({ entries, mustSync: true });
  for (const { command, ...place } of entries.slice(0, 1)) coordinator.apply(command, place);
  const tail = new Tail({ id: "a", store, raft: { status }, applied: () => 1 });
  const list = (state?: "PENDING" | "REPLICATED" | "COMMITTED", after = 0, limit = 10) => {
    const query = { type: "operations", after, limit, ...(state === undefined ? {} : { state }) } as const;
    return answerWithTail(coordinator, tail, query) as QueryAnswers["operations"];
  };
  const get = (operation_id: string) =>
    answerWithTail(coordinator, tail, { type: "operation", operation_id }) as QueryAnswers["operation"];
  return { list, get };
}

const states = ({ items }: QueryAnswers["operations"]) =>
  items.map(({ operation_id, state, log_index }) => `${log_index} ${operation_id} ${state}`);

describe("at the leader, an operation that is not applied is", () => {
  test("REPLICATED as far as a majority of the voters holds it, and PENDING beyond", () => {
    const { list, get } = holding(leading({ b: 3, c: 0, d: 4 }));
    expect(states(list())).toEqual(["1 o1 COMMITTED", "2 o2 REPLICATED", "3 o3 REPLICATED", "4 o2 PENDING"]);
    expect(states(list("PENDING"))).toEqual(["4 o2 PENDING"]);
    expect(states(list("REPLICATED"))).toEqual(["2 o2 REPLICATED", "3 o3 REPLICATED"]);
    expect(states(list("COMMITTED"))).toEqual(["1 o1 COMMITTED"]);
    expect(get("o2")).toMatchObject({ log_index: 4, state: "PENDING", payload: "[3]" });
    expect(get("o1")).toMatchObject({ log_index: 1, state: "COMMITTED" });
    expect(get("o9")).toBeNull();
  });

  test("PENDING while a change of the members is under way and one of its majorities lacks it", () => {
    const joint: Configuration = {
      type: "joint",
      from: { voters: ["a", "b", "c"], learners: [] },
      to: { voters: ["a", "d", "e"], learners: [] },
      leave: "automatic",
    };
    expect(states(holding(leading({ b: 4, c: 4, d: 1, e: 1 }, 1, joint)).list("REPLICATED"))).toEqual([]);
    expect(holding(leading({ b: 4, c: 4, d: 4, e: 1 }, 1, joint)).list("REPLICATED").items).toHaveLength(3);
  });

  test("listed page by page", () => {
    const { list } = holding(leading({}));
    const first = list(undefined, 0, 3);
    expect(states(first)).toEqual(["1 o1 COMMITTED", "2 o2 PENDING", "3 o3 PENDING"]);
    expect(first.next_cursor).toBe("3");
    expect(states(list(undefined, 3, 3))).toEqual(["4 o2 PENDING"]);
  });
});

test("at another replica it is REPLICATED only as far as it knows of a commit", () => {
  const { list } = holding({ ...base, role: "follower", commit: 2, configuration: THREE });
  expect(states(list())).toEqual(["1 o1 COMMITTED", "2 o2 REPLICATED", "3 o3 PENDING", "4 o2 PENDING"]);
});
