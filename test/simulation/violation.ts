/** An invariant that did not hold. */
export class Violation extends Error {
  /** In words, the same for every run that breaks it. */
  readonly invariant: string;
  /** Replicas or names of them that the reader should look at; empty for all. */
  readonly concerned: readonly string[];

  constructor(invariant: string, detail: string, concerned: readonly string[] = []) {
    super(detail);
    this.name = "Violation";
    this.invariant = invariant;
    this.concerned = concerned;
  }
}
