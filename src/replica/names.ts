/** Names of replicas: plain for people, and with the incarnation for the core, which takes it for another replica. */
import type { ReplicaName } from "./rpc.ts";

/** The Raft identity of a member. */
export function idOf({ name, incarnation }: { readonly name: string; readonly incarnation: string }): string {
  return `${name}.${incarnation}`;
}

/** The name of the replica behind a Raft identity. */
export function nameOf(id: string): ReplicaName {
  const dot = id.lastIndexOf(".");
  return dot < 0 ? id : id.slice(0, dot);
}

export function incarnationOf(id: string): string {
  return id.slice(id.lastIndexOf(".") + 1);
}
