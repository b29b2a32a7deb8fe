/** A lease as its holder receives it: the one way that input and blinding leave the system. */
import { renderTime } from "../api/render.ts";
import type { LeaseOffer } from "../api/workers.ts";
import type { LeaseGrant } from "../coordinator/outcomes.ts";
import { taskContext } from "../proofs/context.ts";
import { circuitsOf } from "../proofs/index.ts";
import { knownLeases } from "./known-leases.ts";

/** A worker is dead, and its leases go back, after two periods without a sign of life. */
export const LEASE_PERIODS = 2;

export function renderOffer(grant: LeaseGrant, lease_ms: number): LeaseOffer {
  const circuit = circuitsOf({ bench: true }).get(grant.circuit);
  const context =
    circuit === undefined ? {} : { context: taskContext(circuit.name, circuit.vk_hash, grant.task_id) };
  // Who answers in a leader's place, right after it was replaced, knows of no heartbeat since.
  const { expires_at = grant.granted_at + LEASE_PERIODS * lease_ms } = grant;
  return {
    lease_id: grant.lease_id,
    task_id: grant.task_id,
    attempt: grant.attempt,
    circuit: grant.circuit,
    input: { ...(grant.input as Record<string, unknown>), blinding: grant.blinding, ...context },
    public_inputs: [...grant.public_inputs],
    expires_at: renderTime(expires_at),
    ...(grant.max_runtime_ms === undefined ? {} : { max_runtime_ms: grant.max_runtime_ms }),
  };
}

/** To be sent to their holder. */
export function renderOffers(
  worker_id: string,
  grants: readonly LeaseGrant[],
  lease_ms: number,
): readonly LeaseOffer[] {
  return grants.map((grant) => {
    knownLeases.granted(worker_id, grant);
    return renderOffer(grant, lease_ms);
  });
}
