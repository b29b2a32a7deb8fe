import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FORWARD_MS } from "../../src/router/cluster.ts";
import { applied, broken, fakeGroup, hang, later, NAMES, noLeader, notLeader } from "./fake-group.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("finding the leader", () => {
  it("asks the replica that is believed to lead first", async () => {
    const fake = fakeGroup("coordinator-2");
    fake.behave("coordinator-2", () => applied(7));
    const { result, ms } = await fake.forward();
    expect(result).toEqual({ type: "answer", value: applied(7), replica: "coordinator-2" });
    expect(fake.calls.map(({ replica }) => replica)).toEqual(["coordinator-2"]);
    expect(ms).toBe(0);
  });

  it("follows a hint at once, remembers it, and says so in the log", async () => {
    const fake = fakeGroup();
    fake.behave("coordinator-1", () => notLeader("coordinator-3", 4));
    fake.behave("coordinator-3", () => applied(1));
    const { result, ms } = await fake.forward();
    expect(result.type).toBe("answer");
    expect(ms).toBe(0);
    expect(fake.group.hint.leader).toBe("coordinator-3");
    expect(fake.logs).toEqual([
      { request_id: "r-1", message: "redirect", from: "coordinator-1", to: "coordinator-3", term: 4 },
    ]);
  });

  it("gives replicas that name each other in circles a rest between rounds", async () => {
    const fake = fakeGroup();
    fake.behave("coordinator-1", () => notLeader("coordinator-2"));
    fake.behave("coordinator-2", () => notLeader("coordinator-1"));
    fake.behave("coordinator-3", () => notLeader("coordinator-1"));
    const { result } = await fake.forward();
    expect(result).toMatchObject({ type: "unavailable", code: "no-leader" });
    expect(fake.calls.length).toBeLessThan(FORWARD_MS / 5);
  });

  it("follows a hint to a replica that is new here: the group may have grown", async () => {
    const fake = fakeGroup();
    fake.behave("coordinator-1", () => ({ type: "not-leader", leader: "coordinator-4", term: 1 }));
    fake.behave("coordinator-4", () => applied(1));
    const { result } = await fake.forward();
    expect(result).toMatchObject({ type: "answer", replica: "coordinator-4" });
  });

  it("does not follow a hint to what cannot be a replica", async () => {
    const fake = fakeGroup();
    fake.behave("coordinator-1", () => ({ type: "not-leader", leader: "elsewhere", term: 1 }));
    fake.behave("coordinator-2", () => applied(1));
    const { result } = await fake.forward();
    expect(result).toMatchObject({ type: "answer", replica: "coordinator-2" });
  });

  it("leaves a broken stub for the next replica after a short, jittered pause", async () => {
    const fake = fakeGroup("coordinator-1");
    fake.behave("coordinator-1", broken);
    fake.behave("coordinator-2", () => applied(1));
    const { result, ms } = await fake.forward();
    expect(result).toMatchObject({ type: "answer", replica: "coordinator-2" });
    expect(ms).toBeGreaterThanOrEqual(20);
    expect(ms).toBeLessThanOrEqual(85);
  });

  it("takes an answer that is no answer for a broken stub", async () => {
    const fake = fakeGroup("coordinator-1");
    fake.behave("coordinator-1", () => "crashed");
    fake.behave("coordinator-2", () => applied(1));
    expect((await fake.forward()).result).toMatchObject({ type: "answer", replica: "coordinator-2" });
  });

  it("takes a stream that is none for a broken stub", async () => {
    const fake = fakeGroup("coordinator-1");
    const stream = new Response("here");
    fake.behave("coordinator-1", () => new Response("crashed", { status: 500 }));
    fake.behave("coordinator-2", () => stream);
    const { result } = await fake.forward({ path: "/events", writes: false });
    expect(result).toEqual({ type: "answer", replica: "coordinator-2", value: stream });
  });

  it("goes on to the next replica when one is stopped", async () => {
    const fake = fakeGroup("coordinator-1");
    fake.behave("coordinator-1", () => ({ type: "stopped" }));
    fake.behave("coordinator-2", () => applied(1));
    expect((await fake.forward()).result).toMatchObject({ type: "answer", replica: "coordinator-2" });
  });

  it("sends every attempt of a write the same command", async () => {
    const fake = fakeGroup("coordinator-1");
    fake.behave("coordinator-1", broken);
    fake.behave("coordinator-2", () => notLeader("coordinator-3"));
    fake.behave("coordinator-3", () => applied(1));
    await fake.forward();
    expect(new Set(fake.calls.map(({ body }) => JSON.stringify(body)))).toEqual(
      new Set(['{"command":{"id":"c-1"}}']),
    );
    expect(fake.calls).toHaveLength(3);
  });
});

describe("an answer that is overdue", () => {
  it("makes it ask everybody after loyalty + 100 ms, and send the same command to another leader as well", async () => {
    const fake = fakeGroup("coordinator-1");
    fake.behave("coordinator-1", hang);
    fake.behave("coordinator-2", () => applied(9));
    fake.observed("coordinator-2", { term: 5, leads: true, ready: true, leader: "coordinator-2" });
    fake.observed("coordinator-3", { term: 5, leader: "coordinator-2" });
    const { result, ms } = await fake.forward();
    expect(result).toMatchObject({ type: "answer", replica: "coordinator-2" });
    expect(fake.observations.map(({ at }) => at)).toEqual([400, 400, 400]);
    expect(ms).toBeLessThanOrEqual(410);
    expect(fake.logs).toMatchObject([{ message: "redirect", to: "coordinator-2", overdue: true }]);
  });

  it("waits on while the same leader says that it can commit, and asks less and less often", async () => {
    const fake = fakeGroup("coordinator-1");
    fake.behave("coordinator-1", later(4_000, applied(3)));
    for (const name of NAMES) {
      fake.observed(name, {
        term: 2,
        leads: name === "coordinator-1",
        ready: name === "coordinator-1",
        leader: "coordinator-1",
      });
    }
    const { result } = await fake.forward();
    expect(result).toMatchObject({ type: "answer", replica: "coordinator-1" });
    expect(fake.calls).toHaveLength(1);
    expect([...new Set(fake.observations.map(({ at }) => at))]).toEqual([400, 1_200, 2_800]);
  });

  it("believes the highest term where two say that they lead", async () => {
    const fake = fakeGroup("coordinator-1");
    fake.behave("coordinator-1", hang);
    fake.behave("coordinator-3", () => applied(1));
    fake.observed("coordinator-1", { term: 4, leads: true, leader: "coordinator-1" });
    fake.observed("coordinator-3", { term: 5, leads: true, ready: true, leader: "coordinator-3" });
    fake.observed("coordinator-2", { term: 5, leader: "coordinator-3" });
    expect((await fake.forward()).result).toMatchObject({ type: "answer", replica: "coordinator-3" });
  });

  it("takes the first definite answer, whichever leader gives it", async () => {
    const fake = fakeGroup("coordinator-1");
    fake.behave("coordinator-1", later(450, applied(6)));
    fake.behave("coordinator-2", hang);
    fake.observed("coordinator-2", { term: 5, leads: true, ready: true });
    fake.observed("coordinator-3", { term: 5, leader: "coordinator-2" });
    const { result, ms } = await fake.forward();
    expect(result).toMatchObject({ type: "answer", replica: "coordinator-1" });
    expect(ms).toBeLessThanOrEqual(460);
    expect(fake.calls).toHaveLength(2);
  });

  it("gives up on the streams that it no longer needs", async () => {
    const fake = fakeGroup("coordinator-1");
    let given = "";
    fake.behave("coordinator-1", (call) => {
      call.signal?.addEventListener("abort", () => {
        given = String(call.signal?.reason);
      });
      return hang(call);
    });
    fake.behave("coordinator-2", () => new Response("here"));
    fake.observed("coordinator-2", { term: 5, leads: true, ready: true });
    fake.observed("coordinator-3", { term: 5, leader: "coordinator-2" });
    await fake.forward({ path: "/events", writes: false });
    expect(given).toContain("another replica answered");
  });
});

describe("the end of a write without an answer", () => {
  it("is 'nothing happened' when every replica declined, within the deadline", async () => {
    const fake = fakeGroup();
    const { result, ms } = await fake.forward();
    expect(result).toEqual(noLeader);
    expect(ms).toBeLessThan(5_000);
    expect(ms).toBeGreaterThanOrEqual(FORWARD_MS);
  });

  it.each([
    ["a stub broke", broken],
    [
      "a leader lost its majority after appending it",
      () => ({ type: "outcome-unknown", detail: "stepped down" }),
    ],
    ["an attempt never ended", hang],
  ] as const)("is 'unknown' when %s", async (_what, behaviour) => {
    const fake = fakeGroup("coordinator-2");
    fake.behave("coordinator-2", behaviour);
    const { result, ms } = await fake.forward();
    expect(result.type).toBe("outcome-unknown");
    expect(ms).toBeLessThan(5_000);
  });

  it("is not concluded from an overload while an earlier attempt may have taken effect", async () => {
    const fake = fakeGroup("coordinator-1");
    const overloaded = { type: "unavailable", code: "overloaded", detail: "busy", retry_after_ms: 1_000 };
    fake.behave("coordinator-1", broken);
    fake.behave("coordinator-2", () => overloaded);
    fake.behave("coordinator-3", () => overloaded);
    expect((await fake.forward()).result.type).toBe("outcome-unknown");
  });

  it("is not concluded from an overload while another attempt is under way", async () => {
    const fake = fakeGroup("coordinator-1");
    fake.behave("coordinator-1", later(2_000, applied(8)));
    fake.behave("coordinator-2", () => ({
      type: "unavailable",
      code: "overloaded",
      detail: "",
      retry_after_ms: 1,
    }));
    fake.observed("coordinator-2", { term: 5, leads: true, ready: true });
    fake.observed("coordinator-3", { term: 5, leader: "coordinator-2" });
    expect((await fake.forward()).result).toMatchObject({ type: "answer", replica: "coordinator-1" });
  });

  it("is an overload at once when nothing can have happened", async () => {
    const fake = fakeGroup("coordinator-1");
    fake.behave("coordinator-1", () => ({
      type: "unavailable",
      code: "overloaded",
      detail: "busy",
      retry_after_ms: 1,
    }));
    const { result, ms } = await fake.forward();
    expect(result).toMatchObject({ type: "unavailable", code: "overloaded" });
    expect(ms).toBe(0);
  });

  it("becomes a definite answer if a repeat gets one in time", async () => {
    const fake = fakeGroup("coordinator-1");
    fake.behave("coordinator-1", broken);
    setTimeout(() => fake.behave("coordinator-3", () => applied(2)), 3_000);
    const { result } = await fake.forward();
    expect(result).toMatchObject({ type: "answer", replica: "coordinator-3" });
  });

  it("leaves a long poll its time before the deadline runs", async () => {
    const fake = fakeGroup("coordinator-1");
    fake.behave("coordinator-1", later(20_000, applied(1)));
    for (const name of NAMES)
      fake.observed(name, { term: 2, leads: name === "coordinator-1", ready: true, leader: "coordinator-1" });
    const { result, ms } = await fake.forward({ path: "/pull", wait_ms: 20_000 });
    expect(result.type).toBe("answer");
    expect(ms).toBeGreaterThanOrEqual(20_000);
  });

  it("asks the next leader for no more than what is left of a long poll", async () => {
    const fake = fakeGroup("coordinator-1");
    const poll = (replica: "coordinator-1" | "coordinator-2", answers: boolean) =>
      fake.behave(replica, ({ body }) =>
        later(
          answers ? (body as { wait_ms: number }).wait_ms : 8_000,
          answers ? applied(1) : notLeader("coordinator-2"),
        )({ path: "", body }),
      );
    poll("coordinator-1", false);
    poll("coordinator-2", true);
    for (const name of NAMES)
      fake.observed(name, { term: 2, leads: name === "coordinator-1", ready: true, leader: "coordinator-1" });
    const { result, ms } = await fake.forward({
      path: "/pull",
      body: (wait_ms) => ({ wait_ms }),
      wait_ms: 10_000,
    });
    expect(result).toMatchObject({ type: "answer", replica: "coordinator-2" });
    expect(ms).toBeGreaterThanOrEqual(10_000);
    expect(ms).toBeLessThan(10_200);
    expect(fake.calls.map(({ body }) => body)).toEqual([{ wait_ms: 10_000 }, { wait_ms: 2_000 }]);
  });

  it("asks nobody any more when the time of its request is over", async () => {
    const fake = fakeGroup("coordinator-1");
    fake.behave("coordinator-1", () => applied(1));
    const { result } = await fake.forward({ deadline: Date.now() });
    expect(result).toMatchObject({ type: "unavailable", code: "no-leader" });
    expect(fake.calls).toEqual([]);
  });
});

describe("a replica's own routes", () => {
  const own = { first: "coordinator-2" } as const;

  it("answer a stopped replica as stopped, for reads and writes", async () => {
    for (const call of [{ ...own }, { ...own, only: true, writes: false }]) {
      const fake = fakeGroup("coordinator-1");
      fake.behave("coordinator-1", () => applied(1));
      fake.behave("coordinator-2", () => ({ type: "stopped" }));
      const { result } = await fake.forward(call);
      expect(result).toEqual({ type: "stopped", replica: "coordinator-2" });
      expect(fake.calls.map(({ replica }) => replica)).toEqual(["coordinator-2"]);
    }
  });

  it("forward a write from there to the leader", async () => {
    const fake = fakeGroup("coordinator-1");
    fake.behave("coordinator-2", () => notLeader("coordinator-3"));
    fake.behave("coordinator-3", () => applied(1));
    await fake.forward(own);
    expect(fake.calls.map(({ replica }) => replica)).toEqual(["coordinator-2", "coordinator-3"]);
  });

  it("never ask anybody else for a read, not even when it is overdue", async () => {
    const fake = fakeGroup("coordinator-1");
    fake.behave("coordinator-2", hang);
    for (const name of NAMES) fake.observed(name, { term: 2, leader: "coordinator-1" });
    const { result } = await fake.forward({ ...own, only: true, writes: false, path: "/read" });
    expect(result).toMatchObject({ type: "unreachable", replica: "coordinator-2" });
    expect(new Set(fake.calls.map(({ replica }) => replica))).toEqual(new Set(["coordinator-2"]));
    expect(fake.observations).toEqual([]);
  });

  it("say that there is no leader where the replica answers but finds none", async () => {
    const fake = fakeGroup("coordinator-1");
    fake.behave("coordinator-2", broken);
    setTimeout(() => fake.behave("coordinator-2", () => notLeader("coordinator-2")), 500);
    const { result } = await fake.forward({ ...own, only: true, writes: false, path: "/read" });
    expect(result).toMatchObject({ type: "unavailable", code: "no-leader" });
  });

  it("say at once that the replica has lost its storage", async () => {
    const fake = fakeGroup("coordinator-1");
    const lost = { type: "unavailable", code: "storage-lost", detail: "gone", retry_after_ms: 500 } as const;
    fake.behave("coordinator-2", () => lost);
    const { result } = await fake.forward({ ...own, only: true, writes: false, path: "/read" });
    expect(result).toEqual(lost);
    expect(fake.calls).toHaveLength(1);
  });

  it("read again from the same replica once it is back", async () => {
    const fake = fakeGroup("coordinator-1");
    fake.behave("coordinator-2", broken);
    setTimeout(
      () => fake.behave("coordinator-2", () => ({ type: "answer", applied_index: 4, result: null })),
      500,
    );
    const { result } = await fake.forward({ ...own, only: true, writes: false, path: "/read" });
    expect(result).toMatchObject({ type: "answer", replica: "coordinator-2" });
  });
});

describe("a read", () => {
  it("that got no answer has not happened", async () => {
    const fake = fakeGroup("coordinator-1");
    for (const name of NAMES) fake.behave(name, broken);
    expect((await fake.forward({ path: "/read", writes: false })).result).toMatchObject({
      type: "unavailable",
      code: "no-leader",
    });
  });

  it("answered by a follower does not change who is believed to lead", async () => {
    const fake = fakeGroup("coordinator-1");
    fake.behave("coordinator-1", () => ({ type: "stopped" }));
    fake.behave("coordinator-2", () => ({ type: "answer", applied_index: 1, result: null }));
    await fake.forward({ path: "/read", writes: false });
    expect(fake.group.hint.leader).not.toBe("coordinator-2");
  });
});
