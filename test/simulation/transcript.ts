/**
 * What happened, as a rolling hash over everything that leaves a process, and on demand as lines to
 * read. Two runs of one seed have the same hash, or something in the core depends on more than its
 * inputs.
 */
import type { Message } from "../../src/raft/index.ts";
import type { Command } from "./machine.ts";

export class Transcript {
  #hash = 0x811c9dc5;
  /** Kept only when somebody wants to read them. */
  readonly lines: string[] | undefined;

  constructor(recording: boolean) {
    this.lines = recording ? [] : undefined;
  }

  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, "0");
  }

  /** `text` is asked for only if lines are kept. */
  note(now: number, kind: number, who: number, text: () => string): void {
    this.fold(now * 1024);
    this.fold(kind * 64 + who);
    this.lines?.push(`${now.toFixed(2).padStart(10)}  ${text()}`);
  }

  /** Folds a message in, field by field. */
  message(message: Message<Command>): void {
    this.#foldValue(message);
  }

  fold(number: number): void {
    let bits = Math.imul(this.#hash ^ (number | 0), 0x01000193);
    bits = Math.imul(bits ^ (bits >>> 15) ^ (number / 0x1_0000_0000), 0x85ebca6b);
    this.#hash = bits ^ (bits >>> 13);
  }

  #foldValue(value: unknown): void {
    if (typeof value === "number") this.fold(value);
    else if (typeof value === "string") this.#foldText(value);
    else if (typeof value === "boolean") this.fold(value ? 3 : 5);
    else if (Array.isArray(value)) {
      this.fold(value.length);
      for (const item of value) this.#foldValue(item);
    } else if (typeof value === "object" && value !== null) {
      for (const key in value) this.#foldValue((value as Readonly<Record<string, unknown>>)[key]);
    }
  }

  #foldText(text: string): void {
    let bits = text.length;
    for (let place = 0; place < text.length; place += 1) bits = Math.imul(bits, 31) + text.charCodeAt(place);
    this.fold(bits);
  }
}

/** The lines that tell the story: what arrives and changes something, without what merely goes on. */
export function essential(lines: readonly string[]): readonly string[] {
  return lines.filter((line) => !(SENT.test(line) || GOES_ON.test(line)));
}

const SENT = /^ *[\d.]+ {2}\S+ → /;
const GOES_ON =
  /→ .*(heartbeat|pre-vote-re|refused$)|writes are durable|refuses: |refused$|birth says wait|^ *[\d.]+ {2}r[67]\./;

/** One line for a message, short enough to read hundreds of them. */
export function describe(message: Message<unknown>): string {
  const head = `${message.from} → ${message.to}  ${message.type}`;
  switch (message.type) {
    case "pre-vote-request":
    case "vote-request": {
      const transfer = message.type === "vote-request" && message.transfer ? " transfer" : "";
      return `${head} term ${message.term} log ${position(message.lastLog)}${transfer}`;
    }
    case "pre-vote-response":
    case "vote-response":
      return `${head} term ${message.term} ${message.granted ? "granted" : "refused"}`;
    case "append-request": {
      const entries = message.entries.map(
        (entry) => `${position(entry)}${entry.type === "command" ? "" : ` ${entry.type}`}`,
      );
      const { term, previous, commit, round } = message;
      return `${head} term ${term} after ${position(previous)} [${entries.join(", ")}] commit ${commit} round ${round}`;
    }
    case "append-response": {
      const { term, outcome, round } = message;
      const what =
        outcome.type === "matched"
          ? `matched ${outcome.through}`
          : `conflict at ${outcome.at} hint ${position(outcome.hint)}`;
      return `${head} term ${term} ${what} round ${round}`;
    }
    case "heartbeat":
      return `${head} term ${message.term} commit ${message.commit} round ${message.round}${message.quiesce ? " quiesce" : ""}`;
    case "heartbeat-response":
      return `${head} term ${message.term} round ${message.round}${message.quiesced ? " quiesced" : ""}`;
    case "snapshot-offer":
      return `${head} term ${message.term} ${position(message.snapshot.last)} ${message.snapshot.handle} round ${message.round}`;
    case "timeout-now":
      return `${head} term ${message.term} expects ${position(message.expected)}`;
    case "forward":
      return `${head} ${JSON.stringify(message.request)}`;
    case "read-grant":
      return `${head} term ${message.term} ${message.id} index ${message.index}`;
  }
}

function position({ term, index }: { readonly term: number; readonly index: number }): string {
  return `${index}@${term}`;
}
