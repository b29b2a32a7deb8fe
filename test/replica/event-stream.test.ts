/** The body of `GET /events` as it leaves a replica, piece by piece. */
import { expect, test } from "vitest";
import { streamEvents } from "../../src/replica/events.ts";
import { Machine } from "../coordinator/machine.ts";

/** A machine with one event for each body. */
function holding(bodies: readonly string[]): Machine {
  const machine = new Machine();
  for (const body of bodies) machine.apply({ type: "append-event", kind: "Kind", body });
  return machine;
}

function listed(machine: Machine, after: number, limit?: number): Response {
  const { feed } = machine.coordinator;
  const cursor = feed.open(String(after), false);
  if (cursor === undefined) throw new Error(`nothing behind ${after} is kept`);
  return streamEvents(() => feed, machine.log.length, cursor, limit);
}

async function piecesOf(response: Response): Promise<readonly string[]> {
  const pieces: string[] = [];
  const decoder = new TextDecoder();
  for await (const piece of response.body ?? []) pieces.push(decoder.decode(piece));
  return pieces;
}

test("pieces are bounded in size, and together they are every event once and in order", async () => {
  const bodies = Array.from({ length: 300 }, (_, at) => JSON.stringify({ at, text: "x".repeat(10_000) }));
  const pieces = await piecesOf(listed(holding(bodies), 0));
  expect(pieces.length).toBeGreaterThan(20);
  expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThan(160_000);
  expect(pieces.join("")).toBe(`{"events":[${bodies.join(",")}],"count":300}`);
});

test("small events share a piece, and a part of them is counted as such", async () => {
  const machine = holding(["1", "2", "3", "4"]);
  expect(await piecesOf(listed(machine, 1, 2))).toEqual(['{"events":[2,3],"count":2}']);
  expect(await piecesOf(listed(machine, 4))).toEqual(['{"events":[],"count":0}']);
  expect(await piecesOf(listed(machine, 9))).toEqual(['{"events":[],"count":0}']);
});
