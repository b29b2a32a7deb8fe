/** What the routes of leases say of themselves. */
import { completed, completion, failure, leaseEnded, release } from "../../api/workers.ts";
import { type Declaration, WRITE_PROBLEMS } from "../declaration.ts";

export const completeLease: Declaration = {
  id: "completeLease",
  tag: "Provers",
  summary: "Hand in a proof",
  details:
    "Verified before it is accepted, against our own key and the statement computed at submission. The same proof again is 200 with `duplicate`; an old lease's proof counts while the task is open, with `accepted_late`.",
  body: completion,
  answers: { 200: { is: "Accepted; with `next`, also more leases.", body: completed } },
  problems: [
    "lease-unknown",
    "lease-superseded",
    "proof-mismatch",
    "proof-invalid",
    ...WRITE_PROBLEMS,
    "not-available",
  ],
};

export const failLease: Declaration = {
  id: "failLease",
  tag: "Provers",
  summary: "Report a failed attempt",
  body: failure,
  answers: { 200: { is: "What became of the task.", body: leaseEnded } },
  problems: ["lease-unknown", "lease-superseded", ...WRITE_PROBLEMS],
};

export const releaseLease: Declaration = {
  id: "releaseLease",
  tag: "Provers",
  summary: "Give a lease back",
  details: "Costs the task no attempt.",
  body: release,
  answers: { 200: { is: "What became of the task.", body: leaseEnded } },
  problems: ["lease-unknown", "lease-superseded", ...WRITE_PROBLEMS],
};
