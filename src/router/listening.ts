/** A socket at whoever leads, for a worker that waits there without asking. */
import { problem, type Result } from "../api/problem.ts";
import type { Refused } from "../coordinator/outcomes.ts";
import { openSocket } from "./attempt.ts";
import { type Group, probeLeader } from "./group.ts";

const PAUSE_MS = 50;

/** The open socket, or why this worker may not have one. */
export async function listenAtLeader(
  group: Group,
  listener: { readonly worker_id: string; readonly boot_id: string },
  {
    request_id,
    deadline,
    probe_ms,
  }: { readonly request_id: string; readonly deadline: number; readonly probe_ms: number },
): Promise<Result<Response | Refused>> {
  const path = `/hints?${new URLSearchParams(listener)}`;
  let { leader } = group.hint;
  while (Date.now() < deadline) {
    if (leader === undefined) {
      const found = await probeLeader(group, request_id, probe_ms);
      leader = found?.leads === true ? found.name : found?.leader;
    }
    if (leader === undefined) break;
    const asked = await openSocket(group.transport, leader, path, deadline);
    if (asked.type === "open") return { ok: true, value: asked.response };
    if (asked.type === "refused") return { ok: true, value: asked };
    if (asked.type === "not-leader" && asked.leader !== undefined && asked.leader !== leader) {
      leader = asked.leader;
      continue;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    // Anybody else: it finds out, and wakes the others for it, whether there is another leader.
    leader = group.names[(group.names.indexOf(leader) + 1) % group.names.length];
  }
  return { ok: false, problem: problem("no-leader", "no leader was found at which the worker could wait") };
}
