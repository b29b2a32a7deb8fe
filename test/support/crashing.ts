/**
 * The Worker as it is deployed, with a replica between whose statements it can be struck down. Built for tests alone
 * (`crashingWorker`): nothing of it is in the bundle that is deployed.
 *
 * `POST /strike/<replica>` with an {@link Order} arms it. A replica that is to `abort` ends there, with what it had not
 * flushed; one that is to `hold` says so in the log and stands still in the midst of its transaction, until somebody kills
 * the process.
 */
import { fileURLToPath } from "node:url";
import { MATTERS } from "./steps.ts";

export interface Order {
  /** The how-manieth step that matters. */
  readonly at: number;
  readonly how: "abort" | "hold";
}

/** Modules of this entry: the deployed one, and around it what follows. */
export function crashingWorker(): string {
  const path = (relative: string) => JSON.stringify(fileURLToPath(new URL(relative, import.meta.url)));
  return `
    import worker, { Replica as Deployed } from ${path("../../src/worker.ts")};
    import { stepping, Strike } from ${path("./steps.ts")};
    const MATTERS = ${String(MATTERS)};
    const HOLD_MS = 20_000;
    // All replicas share one isolate here: an order outlives the instance that it strikes, and ends with the process.
    const orders = new Map();
    export class Replica extends Deployed {
      #name;
      constructor(context, env) {
        const name = context.id.name.split("/").at(-1);
        const storage = stepping(context.storage, (step) => {
          const order = orders.get(name);
          if (!order?.strike.hits(step)) return;
          orders.delete(name);
          console.log("struck: " + name + " " + order.how + " at: " + step);
          if (order.how === "hold") for (const began = Date.now(); Date.now() - began < HOLD_MS; );
          context.abort("struck down at: " + step);
          throw new Error("struck down at: " + step);
        });
        Object.defineProperty(context, "storage", { value: storage });
        super(context, env);
        this.#name = name;
      }
      async fetch(request) {
        if (new URL(request.url).pathname !== "/strike") return super.fetch(request);
        const { at, how } = await request.json();
        orders.set(this.#name, { how, strike: new Strike(at, (step) => MATTERS.test(step)) });
        return new Response("armed");
      }
    }
    export default {
      fetch(request, env, context) {
        const [, name] = /^\\/strike\\/([\\w-]+)$/.exec(new URL(request.url).pathname) ?? [];
        if (name === undefined) return worker.fetch(request, env, context);
        const stub = env.REPLICA.get(env.REPLICA.idFromName(env.CLUSTER_ID + "/" + name));
        return stub.fetch(new Request("https://replica/strike", request));
      },
    };
  `;
}
