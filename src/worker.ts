/** Entry of the Worker: the router answers every request, the Durable Object class is one replica of the group. */
import { route } from "./router/router.ts";
import { stubTransport } from "./router/transport.ts";

export { Replica } from "./replica/replica.ts";

interface Env {
  readonly REPLICA: DurableObjectNamespace;
}

export default {
  fetch(request: Request, env: Env): Promise<Response> {
    return route(request, {
      env: env as unknown as Record<string, unknown>,
      transport: (configuration) => stubTransport(env.REPLICA, configuration),
    });
  },
} satisfies ExportedHandler<Env>;
