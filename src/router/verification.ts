/** Verifying one proof in this isolate: in its turn, and counted. */
import { type Circuit, inItsOwnTurn, type Verdict } from "../proofs/index.ts";
import { type Computed, verifications } from "./gate.ts";
import { countVerification } from "./http-metrics.ts";

export async function verify(
  circuit: Circuit,
  proof: unknown,
  signals: { readonly given: unknown; readonly expected: readonly string[] },
  deadline: number,
): Promise<Computed<Verdict>> {
  const began = Date.now();
  const look = (): Verdict => circuit.verify(proof, signals.given, signals.expected);
  // Without a key there is nothing to compute, and nothing to wait for.
  const computed: Computed<Verdict> =
    circuit.verifying_key === null
      ? { type: "result", value: look() }
      : await verifications.run(inItsOwnTurn(look), deadline);
  if (computed.type === "result") countVerification(circuit.name, computed.value.valid, Date.now() - began);
  return computed;
}
