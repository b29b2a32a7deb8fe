/**
 * Where a local cluster is: its ports, names and files. Every number of replicas has a state directory and a cluster id
 * of its own, because the number matters at founding only.
 */
import { join } from "node:path";

export const REPLICA_COUNTS = [1, 3, 5, 7] as const;
export type ReplicaCount = (typeof REPLICA_COUNTS)[number];

export const DEFAULT_PORT = 8080;
/** The replicas' ports begin so far above the router's. */
const REPLICA_PORT_OFFSET = 10;
export const HOST = "127.0.0.1";

export interface Layout {
  readonly replicas: ReplicaCount;
  readonly clusterId: string;
  readonly protocol: "http" | "https";
  readonly routerPort: number;
  /** `coordinator-1` and on, with the local port of each. */
  readonly members: readonly { readonly name: string; readonly port: number }[];
  readonly directory: string;
  readonly persistDirectory: string;
  readonly logDirectory: string;
  readonly tlsDirectory: string;
}

export interface LayoutOptions {
  /** Directory of the state of all local clusters. */
  readonly stateRoot: string;
  readonly replicas: ReplicaCount;
  readonly port: number;
  readonly https: boolean;
}

export function clusterIdOf(replicas: ReplicaCount): string {
  return replicas === 3 ? "troika" : `troika-${replicas}`;
}

export function layoutOf(options: LayoutOptions): Layout {
  const directory = join(options.stateRoot, String(options.replicas));
  return {
    replicas: options.replicas,
    clusterId: clusterIdOf(options.replicas),
    protocol: options.https ? "https" : "http",
    routerPort: options.port,
    members: Array.from({ length: options.replicas }, (_, index) => ({
      name: `coordinator-${index + 1}`,
      port: options.port + REPLICA_PORT_OFFSET + index,
    })),
    directory,
    persistDirectory: join(directory, "state"),
    logDirectory: join(directory, "logs"),
    tlsDirectory: join(directory, "tls"),
  };
}

export function routerUrl(layout: Layout): string {
  return `${layout.protocol}://localhost:${layout.routerPort}`;
}

export function memberUrl(layout: Layout, port: number): string {
  return `${layout.protocol}://localhost:${port}`;
}
