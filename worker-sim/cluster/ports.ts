/** Whether the ports of a local cluster are free, and whom to ask when one is not. */
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { HOST, type Layout } from "./layout.ts";
import { Problem } from "./problem.ts";

const POLL_MS = 100;

type PortState = "free" | "in-use" | "forbidden";

export function portState(port: number): Promise<PortState> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve("in-use");
      else if (error.code === "EACCES") resolve("forbidden");
      else reject(error);
    });
    probe.listen({ port, host: HOST, exclusive: true }, () => probe.close(() => resolve("free")));
  });
}

function sentence(port: number, owner: string, state: PortState): string {
  if (state === "forbidden")
    return `Port ${port}, which ${owner} needs, may not be used by this account: choose another with --port.`;
  return (
    `Port ${port}, which ${owner} needs, is in use by another program: ` +
    `\`ss -ltnp "sport = :${port}"\` or \`lsof -iTCP:${port} -sTCP:LISTEN\` shows which one; end it, or choose other ports with --port.`
  );
}

/**
 * @param patience_ms how long a port may take to become free: after a launcher was killed its programs need a moment.
 * @throws {Problem} that names the first port in use.
 */
export async function requireFreePorts(layout: Layout, patience_ms: number): Promise<void> {
  const needed = [{ name: "the router", port: layout.routerPort }, ...layout.members];
  const asked = Date.now();
  for (const { name, port } of needed) {
    for (;;) {
      const state = await portState(port);
      if (state === "free") break;
      if (state === "forbidden" || Date.now() - asked >= patience_ms)
        throw new Problem(sentence(port, name, state));
      await sleep(POLL_MS);
    }
  }
}
