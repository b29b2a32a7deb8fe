/**
 * Scenarios that explain the core: scripts with what they print, compared byte by byte. When a change
 * of the core changes what they print, look whether it should have, then have them written anew:
 * `npm test -- test/raft/scenarios.test.ts -u`, and review the difference.
 */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { play } from "./scenarios/script.ts";

const FOLDER = new URL("scenarios/", import.meta.url);
const NAMES = readdirSync(FOLDER).filter((name) => name.endsWith(".txt"));

test.for(NAMES)("%s happens as it is written", async (name) => {
  const file = new URL(name, FOLDER).pathname;
  await expect(play(readFileSync(file, "utf8"), name)).toMatchFileSnapshot(file);
});
