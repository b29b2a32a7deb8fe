/**
 * Birth, loss and return of a replica: pure decisions. Whoever founds a group twice, or lets a wiped replica vote
 * under its old name, has broken Raft before the first election.
 *
 * The first replica alone founds, and only once every configured replica has answered and none has a configuration.
 * A replica that is blank while others have a configuration that names it with another incarnation has lost its
 * storage: it takes no part until an operator replaces it. Repeating any step, and a crash after any, is harmless.
 */

/** What is agreed once, at the birth of the group. */
export interface Founding {
  readonly v: number;
  readonly cluster_id: string;
  readonly founding_id: string;
  readonly members: readonly { readonly name: string; readonly incarnation: string }[];
}

/** What a replica says when asked who it is. */
export interface Introduction {
  readonly v: number;
  readonly name: string;
  readonly incarnation: string;
  readonly founding?: Founding;
}

export type Birth =
  /** Store this configuration first, then tell the others. */
  | { readonly type: "found"; readonly members: Founding["members"] }
  | { readonly type: "adopt"; readonly founding: Founding }
  | { readonly type: "lost"; readonly founding_id: string; readonly known_as: string }
  | { readonly type: "wait"; readonly for: readonly string[]; readonly reason: string };

/**
 * What a blank replica is to do.
 *
 * @param self this replica, which holds no founding
 * @param names every configured replica in order; the first one founds
 * @param answers introductions of the others, as far as they answered
 */
export function birth(
  self: { readonly name: string; readonly incarnation: string; readonly cluster_id: string },
  names: readonly string[],
  answers: readonly Introduction[],
): Birth {
  const foundings = answers.flatMap((answer) => answer.founding ?? []);
  const ours = foundings.filter((founding) => founding.cluster_id === self.cluster_id);
  const founding = ours[0];
  if (ours.some((other) => other.founding_id !== founding?.founding_id)) {
    return { type: "wait", for: [], reason: "the others hold foundings that contradict each other" };
  }
  if (founding) {
    const member = founding.members.find((candidate) => candidate.name === self.name);
    if (!member) return { type: "wait", for: [], reason: "the group was founded without this replica" };
    if (member.incarnation === self.incarnation) return { type: "adopt", founding };
    return { type: "lost", founding_id: founding.founding_id, known_as: member.incarnation };
  }
  const missing = names.filter(
    (name) => name !== self.name && !answers.some((answer) => answer.name === name),
  );
  const founder = names[0];
  if (self.name !== founder) {
    return { type: "wait", for: [founder ?? ""], reason: `waiting for ${founder} to found the group` };
  }
  if (missing.length > 0) {
    return { type: "wait", for: missing, reason: `the founding waits for ${missing.join(", ")}` };
  }
  const members = names.map((name) => ({
    name,
    incarnation:
      name === self.name
        ? self.incarnation
        : (answers.find((answer) => answer.name === name)?.incarnation ?? ""),
  }));
  return { type: "found", members };
}
