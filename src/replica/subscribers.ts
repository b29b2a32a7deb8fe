/**
 * Live readers of what happens: event streams (server-sent events), and reads that wait for something new. A stream
 * reads from the replicated state when its client takes more, so nothing is kept for it but a cursor; only what is in no
 * log (what this replica observes, Ephemeral events) waits for it, bounded. Who is too slow for that is cut off, and
 * resumes with `Last-Event-ID`.
 */
import type { FeedCursor, FeedReader } from "../coordinator/index.ts";
import type { Observation } from "./observations.ts";

export const SUBSCRIBERS_MAX = 1_000;
export const HEARTBEAT_MS = 15_000;
/** A stream whose client takes nothing for so long is given up. */
const STALLED_MS = 4 * HEARTBEAT_MS;
const LIVE_ITEMS_MAX = 1_000;
const LIVE_CHARACTERS_MAX = 512 * 1024;
const PIECE_ITEMS = 500;
const PIECE_CHARACTERS = 128 * 1024;
/** How long a client waits before it comes back. */
const RETRY_MS = 1_000;

/** Why a stream ends; the client may resume it, here or elsewhere. */
export type StreamEnd = "replica-stopped" | "subscriber-too-slow" | "events-compacted";

export interface SubscribersOptions {
  /** Of the state as it is: another replica's checkpoint may take its place. */
  readonly feed: () => FeedReader;
  readonly now: () => number;
}

export class Subscribers {
  readonly #options: SubscribersOptions;
  readonly #streams = new Set<EventStream>();
  readonly #polls = new Set<() => void>();
  #length: number;
  #closed = false;

  constructor(options: SubscribersOptions) {
    this.#options = options;
    this.#length = options.feed().length;
  }

  get streams(): number {
    return this.#streams.size;
  }

  /** Whether anybody would notice what is only live. */
  get listening(): boolean {
    return this.#streams.size > 0;
  }

  /** Entries have been applied. */
  applied(): void {
    const { length } = this.#options.feed();
    if (length === this.#length) return;
    this.#length = length;
    for (const stream of this.#streams) stream.wake();
    for (const wake of [...this.#polls]) wake();
  }

  /** What this replica noticed by itself: for those who want the system's events. */
  observed(observation: Observation): void {
    const { type, ...body } = observation;
    this.#report(type, body);
    if (type === "partition.recovered" && observation.node_id !== observation.new_leader)
      this.#report("member.joined", { node_id: observation.node_id });
  }

  /** Ephemeral events, each as JSON text. */
  ephemeral(texts: readonly string[]): void {
    for (const text of texts) this.#live(text, () => true);
  }

  /**
   * A stream from `cursor` on; undefined if there are too many already.
   *
   * @param id of what is before the cursor, if there is anything: the client resumes there until it has something newer
   */
  stream(cursor: FeedCursor, id?: string): ReadableStream<Uint8Array> | undefined {
    const { feed, now } = this.#options;
    for (const stream of this.#streams)
      if (now() - stream.takenAt > STALLED_MS) stream.end("subscriber-too-slow");
    if (this.#full) return undefined;
    const stream = new EventStream({ feed, now, cursor, id, gone: () => this.#streams.delete(stream) });
    this.#streams.add(stream);
    return stream.body;
  }

  /** Until there is more to read than now, or `wait_ms` is over. False if there are too many already. */
  async more(wait_ms: number): Promise<boolean> {
    if (this.#full) return false;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#polls.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, wait_ms);
      this.#polls.add(wake);
    });
    return true;
  }

  close(): void {
    this.#closed = true;
    this.endStreams();
    for (const wake of [...this.#polls]) wake();
  }

  endStreams(): void {
    for (const stream of this.#streams) stream.end("replica-stopped");
  }

  get #full(): boolean {
    return this.#closed || this.#streams.size + this.#polls.size >= SUBSCRIBERS_MAX;
  }

  #report(name: string, body: object): void {
    this.#live(JSON.stringify({ System: { [name]: body } }), ({ reports }) => reports);
  }

  #live(text: string, wanted: (stream: EventStream) => boolean): void {
    for (const stream of this.#streams) if (wanted(stream)) stream.live(text);
  }
}

class EventStream {
  readonly body: ReadableStream<Uint8Array>;
  readonly reports: boolean;
  /** When the client last took something, or was waiting for it. */
  takenAt: number;
  readonly #feed: () => FeedReader;
  readonly #now: () => number;
  readonly #gone: () => void;
  readonly #encoder = new TextEncoder();
  #cursor: FeedCursor;
  #live: string[] = [];
  #liveCharacters = 0;
  #ended: StreamEnd | undefined;
  #wake: (() => void) | undefined;
  /** What is sent before everything else. */
  #greeting: string;

  constructor(
    options: SubscribersOptions & {
      readonly cursor: FeedCursor;
      readonly id: string | undefined;
      readonly gone: () => void;
    },
  ) {
    const { feed, now, cursor, id, gone } = options;
    this.#feed = feed;
    this.#now = now;
    this.#gone = gone;
    this.#cursor = cursor;
    this.reports = cursor.ordinal !== undefined;
    this.takenAt = now();
    this.#greeting = `retry: ${RETRY_MS}\n${id === undefined ? ": connected" : `id: ${id}`}\n\n`;
    this.body = new ReadableStream<Uint8Array>(
      {
        pull: (controller) => this.#pull(controller),
        // Of a client that went away the platform tells with the second write into the void, so at the latest with the
        // second heartbeat.
        cancel: () => this.#gone(),
      },
      { highWaterMark: 0 },
    );
  }

  wake(): void {
    this.#wake?.();
  }

  /** To be sent at once, without an id: it cannot be asked for again. */
  live(text: string): void {
    if (this.#ended) return;
    this.#live.push(text);
    this.#liveCharacters += text.length;
    if (this.#live.length > LIVE_ITEMS_MAX || this.#liveCharacters > LIVE_CHARACTERS_MAX)
      this.end("subscriber-too-slow");
    else this.wake();
  }

  end(why: StreamEnd): void {
    this.#ended ??= why;
    this.#live = [];
    this.#gone();
    this.wake();
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    for (;;) {
      this.takenAt = this.#now();
      const text = this.#next();
      if (text !== "") controller.enqueue(this.#encoder.encode(text));
      if (this.#ended !== undefined) {
        controller.close();
        return;
      }
      if (text !== "") return;
      if (!(await this.#somethingNew())) {
        controller.enqueue(this.#encoder.encode(": heartbeat\n\n"));
        return;
      }
    }
  }

  /** Everything that can be sent now, within bounds. */
  #next(): string {
    let text = this.#greeting;
    this.#greeting = "";
    const live = this.#live;
    this.#live = [];
    this.#liveCharacters = 0;
    for (const each of live) text += `data: ${each}\n\n`;
    if (this.#ended === undefined) {
      const piece = this.#feed().read(this.#cursor, PIECE_ITEMS, PIECE_CHARACTERS);
      if (piece === undefined) this.end("events-compacted");
      for (const item of piece?.items ?? []) text += `id: ${item.id}\ndata: ${item.text}\n\n`;
      this.#cursor = piece?.cursor ?? this.#cursor;
    }
    if (this.#ended === undefined) return text;
    return `${text}event: end\ndata: {"code":"${this.#ended}","retryable":true}\n\n`;
  }

  /** False if a heartbeat is due first. */
  #somethingNew(): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (something: boolean): void => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve(something);
      };
      const timer = setTimeout(() => settle(false), HEARTBEAT_MS);
      this.#wake = () => settle(true);
    });
  }
}
