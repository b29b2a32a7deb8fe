/**
 * Three servers of NATS (Debian's package `nats-server`) on loopback with a JetStream stream of three replicas. A message
 * counts when the stream has acknowledged it. (JetStream of that version acknowledges before it syncs to disk.)
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type JetStreamClient, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { freePort } from "../workerd.ts";
import { startProgram } from "./process.ts";

export const SUBJECT = "tasks.submitted";

export interface Nats {
  /** One connection each, to the server that leads the stream. */
  clients(connections: number): Promise<{
    readonly streams: readonly JetStreamClient[];
    close(): Promise<void>;
  }>;
  close(): Promise<void>;
}

export async function startNats(): Promise<Nats> {
  const directory = await mkdtemp(join(tmpdir(), "troika-bench-nats-"));
  const servers = await Promise.all(
    [1, 2, 3].map(async (number) => ({
      name: `server-${number}`,
      client: await freePort(),
      route: await freePort(),
      monitor: await freePort(),
    })),
  );
  const routes = servers.map(({ route }) => `nats://127.0.0.1:${route}`).join(", ");
  const started = await Promise.all(
    servers.map(async ({ name, client, route, monitor }) => {
      const file = join(directory, `${name}.conf`);
      await writeFile(
        file,
        `server_name: ${name}
listen: "127.0.0.1:${client}"
http: "127.0.0.1:${monitor}"
jetstream { store_dir: ${JSON.stringify(join(directory, name))} }
cluster { name: bench, listen: "127.0.0.1:${route}", routes: [${routes}] }
`,
      );
      return startProgram("nats-server", ["-c", file], async () => {
        return (await fetch(`http://127.0.0.1:${monitor}/healthz`)).ok;
      });
    }),
  );
  const addressOf = (name: string | undefined): string => {
    const server = servers.find((one) => one.name === name);
    if (server === undefined) throw new Error(`the stream is led by ${name}, which was not started here`);
    return `127.0.0.1:${server.client}`;
  };
  const first = await connect({ servers: addressOf("server-1") });
  const manager = await jetstreamManager(first);
  const info = await manager.streams.add({ name: "tasks", subjects: [SUBJECT], num_replicas: 3 });
  await first.close();
  const leader = addressOf(info.cluster?.leader);
  return {
    async clients(connections) {
      const open = await Promise.all(Array.from({ length: connections }, () => connect({ servers: leader })));
      return {
        streams: open.map((connection) => jetstream(connection)),
        close: async () => {
          await Promise.all(open.map((connection) => connection.close()));
        },
      };
    },
    close: async () => {
      await Promise.all(started.map((server) => server.close()));
      await rm(directory, { recursive: true, force: true });
    },
  };
}
