import { describe, expect, it } from "vitest";
import { z } from "zod";
import { eventSubmission } from "../../src/api/events.ts";
import { submissionOptions, taskListParameters, taskParameters } from "../../src/api/tasks.ts";
import { validate } from "../../src/api/validation.ts";
import { completion, heartbeat, pull, registration } from "../../src/api/workers.ts";
import { circuits } from "../../src/proofs/index.ts";

function errors(schema: z.ZodType, value: unknown): readonly (readonly [pointer: string, detail: string])[] {
  const result = validate(schema, value);
  if (result.ok) return [];
  expect(result.problem.code).toBe("invalid-request");
  expect(result.problem.detail).toContain(result.problem.errors?.[0]?.detail);
  return (result.problem.errors ?? []).map(({ pointer, detail }) => [pointer, detail]);
}

describe("what is wrong with a request", () => {
  it("is said field by field, each sentence naming its field", () => {
    expect(
      errors(registration, { worker_id: "a b", max_concurrent_tasks: 0, circuits: [{ name: 1 }] }),
    ).toEqual([
      [
        "/worker_id",
        "worker_id must be 1 to 128 letters, digits, dots, dashes, colons or underscores, beginning with a letter or digit",
      ],
      ["/boot_id", "boot_id is missing: it must be a string"],
      ["/max_concurrent_tasks", "max_concurrent_tasks must be at least 1"],
      ["/circuits/0/name", "circuits[0].name must be a string"],
      ["/circuits/0/vk_hash", "circuits[0].vk_hash is missing: it must be a string"],
    ]);
  });

  it.each([
    [submissionOptions, { priority: 1.5 }, "priority must be a whole number"],
    [submissionOptions, { priority: 101 }, "priority must be at most 100"],
    [submissionOptions, { tags: ["a", 1] }, "tags[1] must be a string"],
    [submissionOptions, { tags: [""] }, "tags[0] must have at least 1 characters"],
    [submissionOptions, { delay_ms: -5 }, "delay_ms must be at least 0"],
    [
      submissionOptions,
      { deadline: "tomorrow" },
      'deadline must be a time as RFC 3339 has it, like "2027-01-31T12:00:00Z"',
    ],
    [pull, { boot_id: "b", wait: 26 }, "wait must be a number of seconds from 0 to 25"],
    [heartbeat, { boot_id: "b", leases: [{}] }, "leases[0].lease_id is missing: it must be a string"],
    [completion, { worker_id: "w", public_inputs: [] }, "proof is missing: it must be given"],
    [taskParameters, { consistency: "eventual" }, "consistency must be linearizable or stale"],
    [taskParameters, { wait: "-1" }, "wait must be a number of seconds from 0 to 25"],
    [taskListParameters, { limit: "501" }, "limit must be a whole number from 1 to 500"],
    [
      taskListParameters,
      { status: "done" },
      "status must be one of scheduled, pending, assigned, in_progress, completed, failed, cancelled, expired",
    ],
    [eventSubmission, [], "the body must be an object"],
    [eventSubmission, {}, "event is missing: it must be an object"],
    [eventSubmission, { event: {} }, "event must have exactly one of the fields Critical and Ephemeral"],
    [
      eventSubmission,
      { event: { Critical: { A: {} }, Ephemeral: { A: {} } } },
      "event must have exactly one of the fields Critical and Ephemeral",
    ],
    [
      eventSubmission,
      { event: { Critical: { A: {}, B: {} } } },
      "event.Critical must have exactly one field, the kind of the event",
    ],
    [eventSubmission, { event: { Critical: { Score: 5 } } }, "event.Critical.Score must be an object"],
    [
      eventSubmission,
      { event: { Critical: { "a-b": {} } } },
      "event.Critical must name a kind by 1 to 64 letters, digits or underscores, not beginning with a digit",
    ],
    [
      eventSubmission,
      { event: { Critical: { PlayerLeave: { player_id: "p" } } } },
      "event.Critical.PlayerLeave.timestamp must be a number or a string",
    ],
    [
      eventSubmission,
      { event: { Critical: { ScoreUpdate: { player_id: 1, score: "high", timestamp: 1 } } } },
      "event.Critical.ScoreUpdate.score must be a number",
    ],
  ] as const)("for %#: %j", (schema, value, detail) => {
    expect(errors(schema, value).map(([, text]) => text)).toContain(detail);
  });

  it("keeps the sentences that a circuit's own schema makes", () => {
    const merkle = circuits.get("merkle");
    expect.assert(merkle !== undefined);
    const [first] = errors(merkle.input, { leaves: ["01", "0x123..."] });
    expect(first?.[0]).toBe("/leaves/1");
    expect(first?.[1]).toMatch(/^leaves\[1\] .*dots stand for digits/);
  });

  it("is said of labels without looking at a million of them", () => {
    const worker = { worker_id: "w", boot_id: "b", max_concurrent_tasks: 1, circuits: [] };
    const many = Object.fromEntries(Array.from({ length: 400_000 }, (_, at) => [`k${at}`, 0]));
    expect(errors(registration, { ...worker, labels: many })).toEqual([
      ["/labels", "labels must have at most 32 fields"],
    ]);
    expect(errors(registration, { ...worker, labels: { zone: 1 } })).toEqual([
      ["/labels/zone", "labels.zone must be a string"],
    ]);
    expect(errors(registration, { ...worker, labels: [] })).toEqual([
      ["/labels", "labels must be an object"],
    ]);
    expect(errors(registration, { ...worker, labels: { zone: "a" } })).toEqual([]);
  });

  it("is one sentence where there is too much of it for the stack", () => {
    const list: z.ZodType = z.lazy(() => z.array(list));
    let deep: unknown = [];
    for (let depth = 0; depth < 100_000; depth++) deep = [deep];
    expect(errors(list, deep)).toEqual([
      ["", "the body is nested too deeply, or has too many fields that are wrong, to say which"],
    ]);
  });

  it("is bounded in number", () => {
    const leases = Array.from({ length: 200 }, () => ({}));
    expect(errors(heartbeat, { boot_id: "b", leases })).toHaveLength(20);
  });
});

describe("what is right with a request", () => {
  it("passes events of known kinds with further fields, and of kinds that nobody knows", () => {
    for (const event of [
      { Critical: { PlayerJoin: { player_id: 7, name: "Ada", timestamp: 1, team: "red" } } },
      { Critical: { GameStateChange: { state: "over", timestamp: "2026-01-01T00:00:00Z" } } },
      { Critical: { Shipment: {} } },
      { Critical: { constructor: { a: 1 } } },
      { Ephemeral: { PlayerMove: { player_id: "a", x: 1, y: 2, z: -0.5, timestamp: 1, speed: 3 } } },
      { Ephemeral: { PlayerAction: { player_id: 7, action: null, timestamp: "now" } } },
      { Ephemeral: { Wave: {} } },
    ]) {
      expect(errors(eventSubmission, { event })).toEqual([]);
    }
    const move = { event: { Ephemeral: { PlayerMove: { x: 1 } } } };
    expect(errors(eventSubmission, move).map(([pointer]) => pointer)).toEqual(
      ["player_id", "y", "z", "timestamp"].map((field) => `/event/Ephemeral/PlayerMove/${field}`),
    );
  });

  it("takes a proof of any shape: that is for the verifier to judge", () => {
    for (const proof of [null, 5, "x", [], {}]) {
      expect(errors(completion, { worker_id: "w", proof, public_inputs: null })).toEqual([]);
    }
  });
});
