/**
 * Workers that wait without asking: each holds a socket open and is sent a word when there is something for it to pull.
 * An open socket is a sign of life, and keeps nobody awake. They belong to whoever leads: when that ends they are closed,
 * and the workers come back through the router.
 */
import type { Coordinator } from "../coordinator/index.ts";

export interface HintSocket {
  send(text: string): void;
  close(code: number, reason: string): void;
}

/** The process that a socket belongs to. */
export interface Listener {
  readonly worker_id: string;
  readonly boot_id: string;
}

interface Listening extends Listener {
  readonly socket: HintSocket;
  /** It has been sent the word and has not pulled since. */
  told: boolean;
}

export const WORK = JSON.stringify({ type: "work" });
/** Said before closing: runtimes tell of a closed socket only when its connection has ended, which takes seconds. */
export const OVER = JSON.stringify({ type: "over" });
/** Of RFC 6455: to be opened again, elsewhere or later. */
const TRY_AGAIN = 1013;
const REPLACED = 4000;

export class Hints {
  readonly #listening = new Map<string, Listening>();

  get listeners(): Iterable<Listener> {
    return this.#listening.values();
  }

  /** One socket for each worker: a newer one takes the place of the one before. */
  joined({ worker_id, boot_id }: Listener, socket: HintSocket): void {
    const before = this.#listening.get(worker_id);
    if (before) end(before.socket, REPLACED, "another socket of the same worker was opened");
    this.#listening.set(worker_id, { worker_id, boot_id, socket, told: false });
  }

  left(worker_id: string, socket: HintSocket): void {
    if (this.#listening.get(worker_id)?.socket === socket) this.#listening.delete(worker_id);
  }

  /** It has asked: the next word is for what comes afterwards. */
  pulled(worker_id: string): void {
    const listening = this.#listening.get(worker_id);
    if (listening) listening.told = false;
  }

  /** Something may be there to pull: no more workers are told than there are tasks. */
  attend(coordinator: Coordinator, now: number): void {
    let tasks = this.#listening.size === 0 ? 0 : coordinator.counts.tasks.pending;
    for (const listening of this.#listening.values()) {
      if (tasks === 0) return;
      const { worker_id, boot_id, socket, told } = listening;
      if (told || coordinator.grantable(worker_id, boot_id, 1, now) !== "yes") continue;
      listening.told = true;
      tasks--;
      socket.send(WORK);
    }
  }

  /** Whoever waits here waits in vain. */
  close(reason: string): void {
    const listening = [...this.#listening.values()];
    this.#listening.clear();
    for (const { socket } of listening) end(socket, TRY_AGAIN, reason);
  }
}

function end(socket: HintSocket, code: number, reason: string): void {
  socket.send(OVER);
  socket.close(code, reason);
}
