/**
 * Where workerd's own SQLite differs from SQLite in Node: a cursor that was left before its end keeps its table locked, rows
 * written are counted in its own way, and numbers lose their last digits when they are read. The real class, in a Durable
 * Object of its own.
 */
import { build } from "esbuild";
import { expect, test } from "vitest";
import { placeOf } from "../../src/replica/places.ts";
import { oneWorker } from "../support/one-worker.ts";
import { idsThatShare } from "../support/shared-places.ts";

const [SHARING = []] = idsThatShare(1);
const OTHER = "019a20c7-e9b1-7abc-8def-000000000000";

const WORKER = `
  import { DurableObject } from "cloudflare:workers";
  import { BEFORE_ALL, Generation } from "./src/replica/generation.ts";
  export class Tables extends DurableObject {
    run() {
      const { sql } = this.ctx.storage;
      const generation = new Generation(sql, 0);
      const body = "x".repeat(1_000);
      for (let at = 0; at < 20; at++) {
        generation.put(["records", "events", String(at), body]);
        generation.put(["live", at + 1, body]);
        generation.put(["arrivals", at + 1, at, at, body]);
      }
      const chunks = [
        generation.recordsAfter(BEFORE_ALL, 5_000),
        generation.liveAfter(0, 5_000),
        generation.arrivalsAfter(0, 5_000),
      ].map((chunk) => chunk.length);
      const id = (nth) => ${JSON.stringify([...SHARING, OTHER])}[nth];
      const rows = [[1, "a"], [1, "b"], [2, "c"], [0, "d"], [2, null], [0, null], [3, null], [1, null]].map(
        ([nth, text]) => generation.put(["records", "tasks", id(nth), text]),
      );
      const many = generation.putRecords("tasks", Array.from({ length: 33 }, (_, nth) => [id(nth % 3), "e" + nth]));
      const read = [0, 1, 2, 3].map((nth) => generation.record("tasks", id(nth)) ?? null);
      const together = generation.recordsOf("tasks", [id(0), id(2)]).map(({ body }) => body).sort();
      const last = generation.lastPlace("tasks");
      generation.drop();
      return { rows, many, read, together, last, chunks, tables: [...sql.exec("SELECT name FROM sqlite_master WHERE name LIKE '%_0'")].length };
    }
  }
  export default {
    fetch: async (_request, env) => Response.json(await env.TABLES.get(env.TABLES.idFromName("one")).run()),
  };
`;

test("full chunks keep no table locked, and records that share a row are found and counted", async () => {
  const { outputFiles } = await build({
    stdin: { contents: WORKER, resolveDir: process.cwd(), loader: "ts" },
    bundle: true,
    format: "esm",
    target: "es2024",
    external: ["cloudflare:*"],
    write: false,
  });
  const miniflare = oneWorker("tables", outputFiles[0]?.text ?? "", {
    env: { TABLES: { type: "durable-object", worker: "tables", exportName: "Tables" } },
    exports: { Tables: { type: "durable-object", storage: "sqlite" } },
  });
  try {
    const answer = await fetch(await miniflare.ready);
    const text = await answer.text();
    expect(answer.status, text).toBe(200);
    expect(JSON.parse(text)).toEqual({
      chunks: [5, 5, 5],
      tables: 0,
      // One for each record that has its place alone; with others also the list of them, the first time the other one too.
      rows: [1, 1, 3, 2, 2, 2, 0, 2],
      many: 11 + 1 + 3 + 2 + 30,
      read: ["e30", "e31", "e32", null],
      together: ["e30", "e31", "e32"],
      last: placeOf("tasks", SHARING[0] ?? ""),
    });
  } finally {
    await miniflare.dispose();
  }
});
