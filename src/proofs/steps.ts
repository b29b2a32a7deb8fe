// A computation that is too long for one turn of the thread, cut into steps. Who drives it decides what happens in
// between: a prover's thread has nothing else to do, the coordinator's has heartbeats to answer.

export type Steps<Result> = Generator<undefined, Result, undefined>;

/** For what cannot be cut: it gets a turn of its own. */
export function* inItsOwnTurn<Result>(compute: () => Result): Steps<Result> {
  yield;
  return compute();
}

/** All of it now. */
export function atOnce<Result>(steps: Steps<Result>): Result {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** For what is short enough not to be cut. */
// biome-ignore lint/correctness/useYield: it has nothing to pause between
export function* inOneStep<Result>(compute: () => Result): Steps<Result> {
  return compute();
}
