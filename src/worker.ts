/** Entry of the Worker: the router answers every request, the Durable Object class is one replica of the group. */
import viewer from "openapi-explorer/dist/browser/openapi-explorer.min.js" with { type: "text" };
import { installPoseidon } from "./proofs/poseidon/poseidon.ts";
import poseidonModule from "./proofs/poseidon/poseidon.wasm";
import { Replica } from "./replica/replica.ts";
import { route } from "./router/router.ts";
import { stubTransport } from "./router/transport.ts";

export { Replica };

// Compiled with the Worker: here no code is made out of bytes.
installPoseidon(poseidonModule);

interface Env {
  readonly REPLICA: DurableObjectNamespace<Replica>;
}

export default {
  fetch(request: Request, env: Env): Promise<Response> {
    return route(request, {
      env: env as unknown as Record<string, unknown>,
      viewer,
      transport: (configuration) => stubTransport(env.REPLICA, configuration),
    });
  },
} satisfies ExportedHandler<Env>;
