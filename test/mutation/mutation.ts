/**
 * One fault put into the core: which text of which file becomes which, and what must notice. The
 * text must be found exactly once, so that a core that has moved on makes the mutation an error and
 * not a fault that is no longer there.
 */
export interface Mutation {
  readonly id: string;
  /** Numbers of the traps of `docs/raft.md` that it falls into; none if it is a fault of another kind. */
  readonly traps: readonly number[];
  /** What is broken, in words. */
  readonly fault: string;
  /** In `src/raft`. */
  readonly file: string;
  readonly before: string;
  readonly after: string;
  readonly killer: Killer;
}

/** What must fail once the fault is in. */
export type Killer =
  /** A test in `test/raft`, by its title as it is written there; `%s` stands for anything. */
  | { readonly type: "test"; readonly file: string; readonly title: string }
  /** One of the first `seeds` runs of the simulation. */
  | { readonly type: "simulator"; readonly seeds: number };

export function test(file: string, title: string): Killer {
  return { type: "test", file, title };
}

/** The text of the file with the fault in it. Throws unless there is exactly one place for it. */
export function mutated(source: string, { id, file, before, after }: Mutation): string {
  const parts = source.split(before);
  if (parts.length !== 2) {
    throw new Error(
      `mutation "${id}" must find its text exactly once in src/raft/${file}, found it ${parts.length - 1} times:\n${before}`,
    );
  }
  return parts.join(after);
}
