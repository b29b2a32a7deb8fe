/**
 * How far a proof is. The prover itself does not say, so this is an estimate: the time that passed against the time that
 * proofs of the same circuit took here lately. It never says that a proof is finished which is not.
 */
const WEIGHT_OF_LATEST = 0.3;
const UNFINISHED_MAX = 0.95;

export class Progress {
  readonly #typical_ms = new Map<string, number>();

  /** A proof of this circuit took so long. */
  took(circuit: string, duration_ms: number): void {
    const before = this.#typical_ms.get(circuit) ?? duration_ms;
    this.#typical_ms.set(circuit, before + WEIGHT_OF_LATEST * (duration_ms - before));
  }

  /** From 0 to 1 in hundredths; undefined before the first proof of a circuit. */
  of(circuit: string, running_ms: number): number | undefined {
    const typical_ms = this.#typical_ms.get(circuit);
    if (typical_ms === undefined) return undefined;
    const share = Math.min(running_ms / Math.max(typical_ms, 1), UNFINISHED_MAX);
    return Math.round(100 * share) / 100;
  }
}
