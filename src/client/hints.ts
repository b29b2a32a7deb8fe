/**
 * A worker's socket at the leader, opened again whenever it was closed, for as long as it is wanted. Where none is to be
 * had (an older cluster, a proxy that knows no WebSockets) it is never open, and the worker polls.
 */
import { addresses, pause } from "./channel.ts";
import type { ClientOptions } from "./client.ts";
import { at, query } from "./paths.ts";

/** The socket is about to be closed; the runtime would tell of it only when the connection has ended. */
const OVER = JSON.stringify({ type: "over" });
const PING_MS = 30_000;
const PAUSE_MS_FIRST = 500;
const PAUSE_MS_MAX = 30_000;

/** As much of a WebSocket as is used here. Headers can be given in Node; elsewhere they are ignored. */
interface Socket {
  readonly readyState: number;
  send(text: string): void;
  close(): void;
  addEventListener(type: "open" | "close" | "error", listener: () => void): void;
  addEventListener(type: "message", listener: (event: { readonly data: unknown }) => void): void;
}
const Socket = WebSocket as unknown as new (url: string, init: object) => Socket;

export interface Worker {
  readonly worker_id: string;
  readonly boot_id: string;
}

export class WorkHints {
  readonly #options: ClientOptions;
  readonly #path: string;
  readonly #signal: AbortSignal;
  #open = false;
  #news = false;
  #told = Promise.withResolvers<void>();

  constructor(options: ClientOptions, { worker_id, boot_id }: Worker, signal: AbortSignal) {
    this.#options = options;
    this.#path = at`/api/v1/workers/${worker_id}/hints` + query({ boot_id });
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#tell(), { once: true });
    void this.#keep();
  }

  /** While it is, the leader says when there is something to pull, and counts the worker as alive. */
  get open(): boolean {
    return this.#open;
  }

  /** Forgets what was said so far: to be called before a pull. */
  heard(): void {
    this.#news = false;
  }

  /** Resolves when something was said since {@link heard}, or the socket was opened or closed. */
  async news(): Promise<void> {
    if (this.#news || this.#signal.aborted) return;
    await this.#told.promise;
  }

  #tell(): void {
    this.#news = true;
    this.#told.resolve();
    this.#told = Promise.withResolvers();
  }

  async #keep(): Promise<void> {
    const urls = addresses(this.#options);
    let failures = 0;
    for (let turn = 0; !this.#signal.aborted; turn++) {
      const url = urls[turn % urls.length] ?? "";
      failures = (await this.#listen(url)) ? 0 : failures + 1;
      const pause_ms = Math.min(PAUSE_MS_FIRST * 2 ** failures, PAUSE_MS_MAX);
      // Jittered: those whose leader was lost do not come back in step.
      if (failures > 0) await pause(pause_ms * (0.75 + Math.random() / 2), this.#signal).catch(() => {});
    }
  }

  /** Until the socket is closed. Whether it was open. */
  #listen(url: string): Promise<boolean> {
    const { token } = this.#options;
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    return new Promise((resolve) => {
      const socket = new Socket(url.replace(/^http/, "ws") + this.#path, { headers });
      let opened = false;
      let ended = false;
      let answered = true;
      const pinging = setInterval(() => {
        if (!opened || !answered) return socket.close();
        answered = false;
        socket.send("ping");
      }, PING_MS);
      const end = (): void => {
        if (ended) return;
        ended = true;
        clearInterval(pinging);
        this.#signal.removeEventListener("abort", stop);
        this.#open = false;
        this.#tell();
        resolve(opened);
      };
      const stop = (): void => {
        socket.close();
        end();
      };
      this.#signal.addEventListener("abort", stop, { once: true });
      socket.addEventListener("open", () => {
        opened = true;
        this.#open = true;
        this.#tell();
      });
      socket.addEventListener("message", ({ data }) => {
        if (data === "pong") answered = true;
        else if (data === OVER) stop();
        else this.#tell();
      });
      socket.addEventListener("close", end);
      socket.addEventListener("error", () => {});
    });
  }
}
