/**
 * The logs of a local cluster, one file per replica. The Worker's console lines come mixed out of one pipe and name
 * their replica in the field `replica=`; what has no such field belongs to wrangler.
 */
import { closeSync, mkdirSync, openSync, renameSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";

/** A file that passes this moves to `.1`, replacing the one before. */
const MAX_FILE_BYTES = 32 * 1024 * 1024;
const MAX_LINE_CHARACTERS = 64 * 1024;
/** Written at the latest so long after it came, and never as a system call per line. */
const FLUSH_MS = 50;
const RECENT_LINES = 200;

const REPLICA_FIELD = /(?:^|\s)replica=(coordinator-\d+|router)(?:\s|$)/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: terminal colours begin with ESC
const COLOUR = /\u001b\[[0-9;]*m/g;

/** Name of the log, without `.log`, that a line of the Worker's output belongs to. */
export function logOf(line: string): string {
  return REPLICA_FIELD.exec(line)?.[1] ?? "wrangler";
}

class LogFile {
  readonly #path: string;
  readonly #maxBytes: number;
  #descriptor: number;
  #bytes: number;
  #waiting = "";

  constructor(path: string, maxBytes: number) {
    this.#path = path;
    this.#maxBytes = maxBytes;
    this.#descriptor = openSync(path, "a");
    this.#bytes = statSync(path).size;
  }

  append(line: string): void {
    this.#waiting += `${line}\n`;
  }

  flush(): void {
    if (this.#waiting === "") return;
    if (this.#bytes > this.#maxBytes) {
      closeSync(this.#descriptor);
      renameSync(this.#path, `${this.#path}.1`);
      this.#descriptor = openSync(this.#path, "a");
      this.#bytes = 0;
    }
    this.#bytes += writeSync(this.#descriptor, this.#waiting);
    this.#waiting = "";
  }

  close(): void {
    this.flush();
    closeSync(this.#descriptor);
  }
}

export interface Logs {
  /** Splits a program's output by line into the files that `name` chooses. */
  attach(source: Readable, name: (line: string) => string): void;
  write(name: string, line: string): void;
  /** The last lines of one log, since this launcher began. */
  recent(name: string, count: number): readonly string[];
  close(): void;
}

export function openLogs(directory: string, maxFileBytes = MAX_FILE_BYTES): Logs {
  mkdirSync(directory, { recursive: true });
  const files = new Map<string, LogFile>();
  const recent = new Map<string, string[]>();
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  const flush = () => {
    timer = undefined;
    for (const file of files.values()) file.flush();
  };
  const write = (name: string, line: string) => {
    if (closed) return;
    let file = files.get(name);
    if (file === undefined) {
      file = new LogFile(join(directory, `${name}.log`), maxFileBytes);
      files.set(name, file);
    }
    file.append(line);
    const lines = recent.get(name) ?? [];
    recent.set(name, lines);
    lines.push(line);
    if (lines.length > RECENT_LINES) lines.shift();
    timer ??= setTimeout(flush, FLUSH_MS);
  };

  return {
    write,
    attach(source, name) {
      const decoder = new StringDecoder("utf8");
      let rest = "";
      const line = (text: string) => {
        const plain = text.replace(COLOUR, "").trimEnd();
        if (plain !== "") write(name(plain), plain);
      };
      source.on("data", (chunk: Buffer) => {
        const lines = (rest + decoder.write(chunk)).split("\n");
        rest = lines.pop() ?? "";
        for (const text of lines) line(text);
        if (rest.length > MAX_LINE_CHARACTERS) {
          line(rest);
          rest = "";
        }
      });
      source.on("end", () => line(rest + decoder.end()));
      source.on("error", () => {});
    },
    recent: (name, count) => (recent.get(name) ?? []).slice(-count),
    close() {
      if (closed) return;
      closed = true;
      clearTimeout(timer);
      for (const file of files.values()) file.close();
    },
  };
}
