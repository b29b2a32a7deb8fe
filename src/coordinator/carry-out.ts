/** Each command by its type, handed to whoever carries it out. */
import { appendEvent } from "./apply-events.ts";
import {
  completeLease,
  expireLease,
  failLease,
  grantLeases,
  rejectProof,
  releaseLease,
  startLeases,
} from "./apply-leases.ts";
import {
  advanceTasks,
  cancelTask,
  changeTasks,
  forgetTasks,
  retryTask,
  submitBatch,
  submitTask,
} from "./apply-tasks.ts";
import { drainWorker, registerWorker, removeWorker, setWorkerState } from "./apply-workers.ts";
import type { Command, EntryPlace } from "./commands.ts";
import { importLine, keptOut } from "./import.ts";
import type { MemberRegister } from "./members.ts";
import type { Operations } from "./operations.ts";
import type { Outcome } from "./outcomes.ts";
import type { State } from "./state.ts";

/** Those parts of the machine that commands change. */
export interface Parts {
  readonly state: State;
  readonly operations: Operations;
  readonly register: MemberRegister;
}

/** Changes the state as the command says, by the rules of its version. */
export function carryOut(
  { state, operations, register }: Parts,
  command: Command,
  place: EntryPlace,
): Outcome {
  const waits = keptOut(state, command);
  if (waits !== undefined) return waits;
  switch (command.type) {
    case "submit-task":
      return submitTask(state, command, place);
    case "submit-batch":
      return submitBatch(state, command, place);
    case "change-tasks":
      return changeTasks(state, command);
    case "forget-tasks":
      return forgetTasks(state, command);
    case "cancel-task":
      return cancelTask(state, command);
    case "retry-task":
      return retryTask(state, command);
    case "advance-tasks":
      return advanceTasks(state, command);
    case "register-worker":
      return registerWorker(state, command);
    case "grant-leases":
      return grantLeases(state, command);
    case "start-leases":
      return startLeases(state, command);
    case "complete-lease":
      return completeLease(state, command);
    case "reject-proof":
      return rejectProof(state, command);
    case "fail-lease":
      return failLease(state, command);
    case "release-lease":
      return releaseLease(state, command);
    case "expire-lease":
      return expireLease(state, command);
    case "set-worker-state":
      return setWorkerState(state, command);
    case "drain-worker":
      return drainWorker(state, command);
    case "remove-worker":
      return removeWorker(state, command);
    case "append-event":
      return appendEvent(state, command, place);
    case "put-operation":
      return operations.put(command, place);
    case "describe-member":
      return register.describe(command);
    case "import-line":
      return importLine(state, operations, command, place);
  }
}
