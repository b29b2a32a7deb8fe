/**
 * Peer bodies and log rows as JSON text. A command is encoded once and its text shared by the log row and by every
 * append that carries it: commands and entries are immutable, so the text is kept with the object itself.
 */
import type { Command } from "../coordinator/commands.ts";
import type { Entry, Message } from "../raft/index.ts";

/**
 * The version written by this code. It reads its own and the one before; but of the tables only its own, which are laid out
 * anew in version 2: a replica whose identity is of version 1 does not start.
 */
export const FORMAT_VERSION = 2;
const OLDEST_READABLE_VERSION = 1;

export type LogEntry = Entry<Command>;
export type PeerMessage = Message<Command>;

/** A body or row of a version that this code does not know. Never guessed at. */
export class UnknownVersion extends Error {
  constructor(what: string, version: unknown) {
    const side =
      typeof version === "number" && version > FORMAT_VERSION
        ? "upgrade the reader, which runs older code"
        : "upgrade the writer, or restore with the code that wrote it";
    super(
      `${what} has version ${JSON.stringify(version)}; this code reads ${OLDEST_READABLE_VERSION} to ${FORMAT_VERSION}: ${side}`,
    );
    this.name = "UnknownVersion";
  }
}

export function checkVersion(what: string, value: unknown): void {
  const version = (value as { v?: unknown } | null)?.v;
  if (typeof version !== "number" || version < OLDEST_READABLE_VERSION || version > FORMAT_VERSION) {
    throw new UnknownVersion(what, version);
  }
}

interface Encoded {
  readonly text: string;
  /** In UTF-8. */
  readonly bytes: number;
}

/** A property that neither JSON nor a copy sees. A WeakMap would cost more than encoding does. */
const TEXT = Symbol("text");

interface Keeper {
  readonly [TEXT]?: Encoded;
}

function keep(keeper: object, value: Encoded): Encoded {
  Object.defineProperty(keeper, TEXT, { value });
  return value;
}

const NOT_ASCII = /[\u0080-\uffff]/;
const utf8 = new TextEncoder();

function encoded(text: string): Encoded {
  return { text, bytes: NOT_ASCII.test(text) ? utf8.encode(text).byteLength : text.length };
}

function encodeCommand(command: Command & Keeper): Encoded {
  return command[TEXT] ?? keep(command, encoded(JSON.stringify(command)));
}

/** Bytes of a command's JSON text in UTF-8: what limits are measured in. */
export function bytesOf(command: Command): number {
  return encodeCommand(command).bytes;
}

function encodeEntry(entry: LogEntry & Keeper): Encoded {
  return entry[TEXT] ?? keep(entry, encodedEntry(entry));
}

function encodedEntry(entry: LogEntry): Encoded {
  if (entry.type !== "command") return encoded(JSON.stringify(entry));
  const { command, ...header } = entry;
  const { text, bytes } = encodeCommand(command);
  const head = `${JSON.stringify(header).slice(0, -1)},"command":`;
  return { text: `${head}${text}}`, bytes: head.length + bytes + 1 };
}

/** Bytes that an entry takes in a log row or in a message. */
export function entryBytes(entry: LogEntry): number {
  return encodeEntry(entry).bytes;
}

function join(entries: readonly LogEntry[]): string {
  return entries.map((entry) => encodeEntry(entry).text).join(",");
}

/** The body of one log row: a batch of entries. */
export function encodeBatch(entries: readonly LogEntry[]): string {
  return `{"v":${FORMAT_VERSION},"entries":[${join(entries)}]}`;
}

export function decodeBatch(text: string, where: string): readonly LogEntry[] {
  const body = JSON.parse(text) as { v: number; entries: LogEntry[] };
  checkVersion(where, body);
  return body.entries;
}

function encodeMessage(message: PeerMessage): string {
  if (message.type !== "append-request") return JSON.stringify(message);
  const { entries, ...rest } = message;
  return `${JSON.stringify(rest).slice(0, -1)},"entries":[${join(entries)}]}`;
}

/** What every peer body says about its sender. */
export interface PeerHeader {
  readonly cluster_id: string;
  readonly founding_id: string;
  /** Raft identities: `name.incarnation`. */
  readonly from: string;
  readonly to: string;
  /** `response`: answer in the response. `request`: answer with a request of your own, which starts a new invocation here. */
  readonly answer: "response" | "request";
}

export interface PeerBody extends PeerHeader {
  readonly v: number;
  readonly messages: readonly PeerMessage[];
  /** Of `/peer/ephemeral`: events as JSON text. */
  readonly events?: readonly string[];
}

export function encodeEphemeral(header: PeerHeader, events: readonly string[]): string {
  return JSON.stringify({ v: FORMAT_VERSION, ...header, messages: [], events });
}

export function encodePeerBody(header: PeerHeader, messages: readonly PeerMessage[]): string {
  return `{"v":${FORMAT_VERSION},${JSON.stringify(header).slice(1, -1)},"messages":[${messages.map(encodeMessage).join(",")}]}`;
}

/** A peer's answer: its messages, or why it took none. */
export type PeerAnswer =
  | {
      readonly v: number;
      readonly type: "messages";
      readonly messages: readonly PeerMessage[];
      /** Somebody there wants to hear of Ephemeral events. */
      readonly listening?: true;
    }
  /** It has no configuration (yet, or any more). */
  | { readonly v: number; readonly type: "blank"; readonly incarnation: string }
  /** The sender was removed from the group, for good. */
  | { readonly v: number; readonly type: "removed" }
  /** It is not whom the message was for, or not of this founding. */
  | { readonly v: number; readonly type: "mismatch"; readonly detail: string };

export function encodeAnswer(messages: readonly PeerMessage[], listening = false): string {
  const hears = listening ? '"listening":true,' : "";
  return `{"v":${FORMAT_VERSION},"type":"messages",${hears}"messages":[${messages.map(encodeMessage).join(",")}]}`;
}
