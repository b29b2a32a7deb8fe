/**
 * Three members of etcd (Debian's package `etcd-server`) on loopback, with fsync on, driven through the member that
 * leads: over its HTTP gateway, and over gRPC beside it.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Etcd3 } from "etcd3";
import { type Http, httpTo } from "../generator.ts";
import { freePort } from "../workerd.ts";
import { startProgram } from "./process.ts";

export interface Etcd {
  /** Of the leader. */
  readonly url: string;
  http(connections: number): Http;
  grpc(): Etcd3;
  close(): Promise<void>;
}

const base64 = (text: string): string => Buffer.from(text).toString("base64");

/** The body of a `POST /v3/kv/put`. */
export function put(key: string, value: string): { readonly key: string; readonly value: string } {
  return { key: base64(key), value: base64(value) };
}

/** The body of a `POST /v3/kv/txn` that puts all of these. */
export function putAll(entries: readonly (readonly [key: string, value: string])[]): unknown {
  return { success: entries.map(([key, value]) => ({ request_put: put(key, value) })) };
}

export async function startEtcd(): Promise<Etcd> {
  const directory = await mkdtemp(join(tmpdir(), "troika-bench-etcd-"));
  const members = await Promise.all(
    [1, 2, 3].map(async (number) => ({
      name: `member-${number}`,
      client: `http://127.0.0.1:${await freePort()}`,
      peer: `http://127.0.0.1:${await freePort()}`,
    })),
  );
  const cluster = members.map(({ name, peer }) => `${name}=${peer}`).join(",");
  const healthy = async (client: string): Promise<boolean> => (await fetch(`${client}/health`)).ok;
  const started = await Promise.all(
    members.map(({ name, client, peer }) =>
      startProgram(
        "etcd",
        [
          ...["--name", name, "--data-dir", join(directory, name), "--log-level", "error"],
          ...["--listen-client-urls", client, "--advertise-client-urls", client],
          ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer],
          ...["--initial-cluster", cluster, "--initial-cluster-state", "new"],
          ...["--quota-backend-bytes", String(8 * 1024 ** 3)],
        ],
        () => healthy(client),
      ),
    ),
  );
  interface Status {
    readonly leader: string;
    readonly header: { readonly member_id: string };
  }
  const statuses = await Promise.all(
    members.map(async ({ client }) => {
      const response = await fetch(`${client}/v3/maintenance/status`, { method: "POST", body: "{}" });
      const { leader, header } = (await response.json()) as Status;
      return { client, leads: leader === header.member_id };
    }),
  );
  const leader = statuses.find(({ leads }) => leads);
  if (leader === undefined) throw new Error("no member of etcd leads");
  return {
    url: leader.client,
    http: (connections) => httpTo(leader.client, connections),
    grpc: () => new Etcd3({ hosts: leader.client }),
    close: async () => {
      await Promise.all(started.map((member) => member.close()));
      await rm(directory, { recursive: true, force: true });
    },
  };
}
