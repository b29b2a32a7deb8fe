/** Nothing that grows may outgrow its limit: batches, messages, what is uncommitted or under way. */
import type { Message, Ready, Status } from "../../src/raft/index.ts";
import { weightOf } from "./entries.ts";
import type { Host } from "./host.ts";
import { COMMAND_BYTES, type Command } from "./machine.ts";
import type { Knobs } from "./scenario.ts";
import { Violation } from "./violation.ts";

const MOST_MESSAGES = 400;

export class Bounds {
  readonly #knobs: Knobs;
  /** Last index before the entries proposed in each reign, and in each life that resumed it. */
  readonly #reigns = new Map<
    string,
    { readonly life: number; readonly term: number; readonly from: number }
  >();

  constructor(knobs: Knobs) {
    this.#knobs = knobs;
  }

  /** A batch as it was taken. */
  batch(host: Host, { sendNow, sendAfterPersist, committed }: Ready<Command>): void {
    const most = Math.max(sendNow.length, sendAfterPersist.length);
    if (most > MOST_MESSAGES) {
      throw new Violation("memory is bounded", `${host.id} sends ${most} messages at once`, [host.id]);
    }
    const weight = weightOf(committed);
    if (
      weight > this.#knobs.limits.committedBytes &&
      committed.length > 1 &&
      weightOf(committed.slice(1)) > 0
    ) {
      throw new Violation("memory is bounded", `${host.id} hands out ${weight} bytes at once`, [host.id]);
    }
  }

  sending(host: Host, message: Message<Command>): void {
    if (message.type !== "append-request" || message.entries.length <= 1) return;
    if (weightOf(message.entries) <= this.#knobs.limits.messageBytes) return;
    throw new Violation("memory is bounded", `${host.id} sends an append too large`, [host.id]);
  }

  observed(host: Host, status: Status): void {
    if (status.role !== "leader") return;
    const { limits } = this.#knobs;
    let reign = this.#reigns.get(host.id);
    if (reign?.term !== status.term || reign.life !== host.life) {
      reign = { life: host.life, term: status.term, from: status.lastLog.index };
      this.#reigns.set(host.id, reign);
    }
    // Entries of former reigns were not proposed in this one.
    const own = status.lastLog.index - Math.max(status.commit, reign.from);
    if (own * COMMAND_BYTES > limits.uncommittedBytes + 20 * COMMAND_BYTES) {
      throw new Violation("memory is bounded", `${host.id} holds ${own} uncommitted entries`, [host.id]);
    }
    for (const [peer, progress] of status.progress) {
      if (progress.type !== "replicate") continue;
      const { messages, bytes } = progress.inFlight;
      if (messages > limits.inFlightMessages || bytes > limits.inFlightBytes + limits.messageBytes) {
        const detail = `${host.id} has ${messages} messages, ${bytes} bytes under way to ${peer}`;
        throw new Violation("memory is bounded", detail, [host.id]);
      }
    }
  }
}
