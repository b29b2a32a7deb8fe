/**
 * What workerd's own SQLite asks of the tables beyond what SQLite in Node does: a cursor that was left before its end keeps
 * its table locked. Chunks of a transfer are read from the real class, in a Durable Object of its own.
 */
import { build } from "esbuild";
import { expect, test } from "vitest";
import { oneWorker } from "../support/one-worker.ts";

const WORKER = `
  import { DurableObject } from "cloudflare:workers";
  import { Generation } from "./src/replica/generation.ts";
  export class Tables extends DurableObject {
    run() {
      const { sql } = this.ctx.storage;
      const generation = new Generation(sql, 0);
      const body = "x".repeat(1_000);
      for (let at = 0; at < 20; at++) {
        generation.put(["records", "events", String(at).padStart(3, "0"), body]);
        generation.put(["live", at + 1, body]);
        generation.put(["arrivals", at + 1, at, at, body]);
      }
      const chunks = [
        generation.recordsAfter(["", ""], 5_000),
        generation.liveAfter(0, 5_000),
        generation.arrivalsAfter(0, 5_000),
      ].map((chunk) => chunk.length);
      generation.drop();
      return { chunks, tables: [...sql.exec("SELECT name FROM sqlite_master WHERE name LIKE '%_0'")].length };
    }
  }
  export default {
    fetch: async (_request, env) => Response.json(await env.TABLES.get(env.TABLES.idFromName("one")).run()),
  };
`;

test("tables of which a chunk was read that is full can be dropped", async () => {
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
    expect(JSON.parse(text)).toEqual({ chunks: [5, 5, 5], tables: 0 });
  } finally {
    await miniflare.dispose();
  }
});
