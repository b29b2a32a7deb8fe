/**
 * That what a replica remembers has an end, in the places where nothing else would show it: it could
 * grow for months before anybody noticed.
 */
import { expect, test } from "vitest";
import { Configurations } from "../../src/raft/configurations.ts";
import { Rounds } from "../../src/raft/rounds.ts";
import { append, at } from "./harness/messages.ts";
import { command, LIMITS, Replica, voters } from "./harness/replica.ts";

test("a round is forgotten when it can no longer give a lease", () => {
  const rounds = new Rounds(0);
  for (let now = 1; now <= 1_000; now += 1) rounds.begin(now, now - 10);
  expect(rounds.begunAt(991)).toBe(991);
  expect(rounds.begunAt(980)).toBe(Number.NEGATIVE_INFINITY);
});

test("rounds of one instant are remembered as one, and count from when the first began", () => {
  const rounds = new Rounds(7);
  for (const now of [5, 5, 5, 6]) rounds.begin(now, 0);
  expect([7, 8, 9, 10, 11].map((round) => rounds.begunAt(round))).toEqual([
    Number.NEGATIVE_INFINITY,
    5,
    5,
    5,
    6,
  ]);
});

test("a configuration is forgotten when a snapshot ends behind the one that replaced it", () => {
  const configurations = new Configurations(voters("a"), 0);
  for (const index of [3, 6, 9]) configurations.append(index, voters("a", `${index}`));
  configurations.forgetBefore(7);
  expect(configurations.at(5)).toBeUndefined();
  expect(configurations.at(7)).toEqual(voters("a", "6"));
  expect(configurations.current).toEqual(voters("a", "9"));
});

test("an overwritten tail weighs nothing any more", () => {
  const a = new Replica("a", {}, { limits: { ...LIMITS, committedBytes: 10 } });
  const large = "x".repeat(20);
  a.raft.step(append(["b", "a", 1], at(0, 0), [command(1, 1, large), command(1, 2, large)]));
  const small = [1, 2, 3].map((index) => command(2, index, "yy"));
  a.raft.step(append(["c", "a", 2], at(0, 0), small, { commit: 3 }));
  expect(a.raft.takeReady()?.committed).toEqual(small);
});
