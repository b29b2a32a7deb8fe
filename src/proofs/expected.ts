// The first thing about a proof that was handed in: whether it claims to prove what was asked.

/** Why these are not the expected signals, compared as strings; undefined where they are. Takes anything. */
export function difference(publicInputs: unknown, expected: readonly string[]): string | undefined {
  if (!Array.isArray(publicInputs) || publicInputs.length !== expected.length) {
    return `the public inputs are not a list of ${expected.length}`;
  }
  const different = expected.findIndex((signal, i) => signal !== publicInputs[i]);
  return different < 0 ? undefined : `public input ${different} is not the task's`;
}
