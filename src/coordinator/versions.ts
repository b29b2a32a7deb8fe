/**
 * Which commands there are, and the newest meaning that each has. A command is applied by the rules of its version; the
 * first one of a higher version changes the rules for all that follow it in the log, on every replica at the same
 * place. A log from before it replays to the state that it had then, and a replica that does not know the version stops
 * before it would apply the command in another sense.
 *
 * Version 2: waiting tasks grow older (`queue.ts`).
 * Version 3: circuits share provers' time (`shares.ts`).
 */
import type { Command } from "./commands.ts";

const VERSIONS: Readonly<Record<Command["type"], Command["v"]>> = {
  "submit-task": 1,
  "submit-batch": 1,
  "cancel-task": 1,
  "retry-task": 1,
  "change-tasks": 1,
  "advance-tasks": 1,
  "forget-tasks": 1,
  "register-worker": 1,
  "grant-leases": 3,
  "start-leases": 1,
  "complete-lease": 3,
  "reject-proof": 1,
  "fail-lease": 1,
  "release-lease": 1,
  "expire-lease": 1,
  "set-worker-state": 1,
  "drain-worker": 1,
  "remove-worker": 1,
  "append-event": 1,
  "put-operation": 1,
  "describe-member": 1,
  "import-line": 1,
};

/** Of the commands that this code writes. */
export function versionOf(type: Command["type"]): Command["v"] {
  return VERSIONS[type];
}

/** Whether this version can apply a command. Whoever appends one asks first: what is committed must be applied. */
export function knows(command: Command): boolean {
  const { v, type } = command as { readonly v: unknown; readonly type: unknown };
  if (typeof type !== "string" || !Object.hasOwn(VERSIONS, type)) return false;
  const newest = VERSIONS[type as Command["type"]];
  return v === newest || (typeof v === "number" && Number.isInteger(v) && v >= 1 && v < newest);
}
