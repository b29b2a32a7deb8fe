/** Every fault that is put into the core, one at a time, by `npm run mutate`. */
import type { Mutation } from "../mutation.ts";
import { durability } from "./durability.ts";
import { elections } from "./elections.ts";
import { membership } from "./membership.ts";
import { reads } from "./reads.ts";
import { replication } from "./replication.ts";
import { silence } from "./silence.ts";
import { snapshots } from "./snapshots.ts";

export const mutations: readonly Mutation[] = [
  ...replication,
  ...durability,
  ...elections,
  ...reads,
  ...membership,
  ...snapshots,
  ...silence,
];

/** Throws, naming those there are, if there is none of that name. */
export function mutationNamed(id: string): Mutation {
  const found = mutations.find((mutation) => mutation.id === id);
  if (found === undefined) {
    throw new Error(
      `there is no mutation "${id}", only ${mutations.map((mutation) => mutation.id).join(", ")}`,
    );
  }
  return found;
}
