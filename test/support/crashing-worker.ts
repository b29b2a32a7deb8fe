/**
 * The deployed Worker, with replicas that can be struck down between their statements. Built for tests alone: nothing
 * of it is in the bundle that is deployed.
 *
 * `POST /strike/<replica>` with an {@link Order} arms it. A replica that is to `abort` ends there, with what it had not
 * flushed; one that is to `hold` says so in the log and stands still in the midst of its transaction, until somebody kills
 * the process.
 */
import worker, { Replica as Deployed } from "../../src/worker.ts";
import { MATTERS, type Order, Strike, stepping } from "./steps.ts";

const HOLD_MS = 20_000;

interface Env {
  readonly REPLICA: DurableObjectNamespace<Deployed>;
  readonly CLUSTER_ID: string;
}

/** All replicas share one isolate here: an order outlives the instance that it strikes, and ends with the process. */
const orders = new Map<string, { readonly how: Order["how"]; readonly strike: Strike }>();

function nameOf({ id }: DurableObjectState): string {
  return id.name?.split("/").at(-1) ?? "";
}

function strikable(context: DurableObjectState): DurableObjectState {
  const name = nameOf(context);
  const storage = stepping(context.storage, (step) => {
    const order = orders.get(name);
    if (!order?.strike.hits(step)) return;
    orders.delete(name);
    const text = `struck: ${name} ${order.how} at: ${step}`;
    console.log(text);
    // The clock goes on here while nothing else does.
    for (const began = Date.now(); order.how === "hold" && Date.now() - began < HOLD_MS; );
    context.abort(text);
    throw new Error(text);
  });
  Object.defineProperty(context, "storage", { value: storage });
  return context;
}

export class Replica extends Deployed {
  constructor(context: DurableObjectState, env: Env) {
    super(strikable(context), env);
  }

  override async fetch(request: Request): Promise<Response> {
    if (new URL(request.url).pathname !== "/strike") return super.fetch(request);
    const { at, how } = (await request.json()) as Order;
    orders.set(nameOf(this.ctx), { how, strike: new Strike(at, (step) => MATTERS.test(step)) });
    return new Response("armed");
  }
}

export default {
  fetch(request: Request, env: Env): Promise<Response> {
    const [, name] = /^\/strike\/([\w-]+)$/.exec(new URL(request.url).pathname) ?? [];
    if (name === undefined) return worker.fetch(request, env);
    const stub = env.REPLICA.get(env.REPLICA.idFromName(`${env.CLUSTER_ID}/${name}`));
    return stub.fetch(new Request("https://replica/strike", request));
  },
};
