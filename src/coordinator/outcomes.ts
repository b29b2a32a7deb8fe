/**
 * Refusals in the words of the HTTP contract.
 */
import type { RefusalCode, Refused } from "./commands.ts";

export function refused(code: RefusalCode, detail: string): Refused {
  return { type: "refused", code, detail };
}

export function workerUnknown(worker_id: string): Refused {
  return refused("worker-unknown", `worker ${worker_id} is not registered: register it (again)`);
}

export function bootSuperseded(worker_id: string): Refused {
  return refused(
    "boot-superseded",
    `worker ${worker_id} was registered again by a newer process with another boot_id`,
  );
}
