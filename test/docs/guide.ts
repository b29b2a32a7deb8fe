/**
 * Guides as they are tested. A block of `console` is a transcript: `$ ` begins a command, `> ` continues it, the rest is
 * what it prints, where `…` stands for anything within a line, and alone for any lines. `<!-- harness: … -->` is what
 * happens meanwhile to the cluster. Any other block is for the reader alone.
 */
import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";

export type Step =
  | { readonly type: "command"; readonly line: number; readonly command: string; readonly expected: string }
  | { readonly type: "harness"; readonly line: number; readonly words: readonly string[] };

export interface Guide {
  readonly steps: readonly Step[];
  /** Commands of blocks that are not run, each with its line. */
  readonly unrun: readonly { readonly line: number; readonly command: string }[];
  readonly headings: readonly string[];
}

interface Transcript {
  readonly line: number;
  command: string;
  expected: string[];
}

export function parseGuide(markdown: string): Guide {
  const steps: Step[] = [];
  const unrun: { line: number; command: string }[] = [];
  const headings: string[] = [];
  let language: string | undefined;
  let current: Transcript | undefined;
  const finish = (): void => {
    if (current === undefined) return;
    const { line, command, expected } = current;
    steps.push({ type: "command", line, command, expected: expected.join("\n").trimEnd() });
    current = undefined;
  };
  for (const [at, text] of markdown.split("\n").entries()) {
    const line = at + 1;
    const fence = /^```(\w*)$/.exec(text);
    if (fence !== null) {
      finish();
      language = language === undefined ? (fence[1] ?? "") : undefined;
    } else if (language === "console") {
      if (text.startsWith("$ ")) {
        finish();
        current = { line, command: text.slice(2), expected: [] };
      } else if (current === undefined) {
        throw new Error(`line ${line} is output of no command`);
      } else if (text.startsWith("> ") && current.expected.length === 0) {
        current.command += `\n${text.slice(2)}`;
      } else {
        current.expected.push(text);
      }
    } else if (language !== undefined) {
      if (language === "sh" && text !== "" && !text.startsWith("#")) unrun.push({ line, command: text });
    } else {
      const harness = /^<!-- harness: (.+) -->$/.exec(text);
      if (harness?.[1] !== undefined) steps.push({ type: "harness", line, words: harness[1].split(" ") });
      const heading = /^##+ (.+)$/.exec(text);
      if (heading?.[1] !== undefined) headings.push(heading[1]);
    }
  }
  return { steps, unrun, headings };
}

/** What output must look like. */
export function patternOf(expected: string): RegExp {
  const lines = expected.split("\n").map((line) => {
    if (line.trim() === "…") return "(?:.*\\n)*";
    const literal = line.trimEnd().replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&");
    // Columns are as wide as what stands in them.
    return `${literal.replaceAll("…", ".*").replaceAll(/ {2,}/g, " +")}[ ]*\\n`;
  });
  return new RegExp(`^${lines.join("")}$`);
}

/** One shell that remembers what it was told, as a terminal does. */
export interface Shell {
  run(command: string): Promise<{ readonly status: number; readonly output: string }>;
  end(): Promise<void>;
}

export function openShell(cwd: string, environment: Readonly<Record<string, string>>): Shell {
  const mark = `end-of-output-${process.pid}-${Date.now()}`;
  const bash = spawn("bash", ["--noprofile", "--norc"], {
    cwd,
    env: { ...process.env, ...environment },
    stdio: ["pipe", "pipe", "inherit"],
    detached: true,
  });
  let seen = "";
  let look = (): void => undefined;
  bash.stdout.on("data", (chunk: Buffer) => {
    seen += chunk.toString();
    look();
  });
  const exited = new Promise<void>((resolve) => bash.once("exit", () => resolve()));
  bash.stdin.write("exec 2>&1\n");
  return {
    run(command) {
      return new Promise((resolve, reject) => {
        look = () => {
          const [, output, status] = new RegExp(`^([^]*?)\\n?${mark} (\\d+)\\n$`).exec(seen) ?? [];
          if (output === undefined) return;
          seen = "";
          resolve({ status: Number(status), output });
        };
        void exited.then(() => reject(new Error(`the shell ended with: ${command}`)));
        bash.stdin.write(`${command}\nprintf '\\n${mark} %d\\n' $?\n`);
      });
    },
    async end() {
      if (bash.pid !== undefined && bash.exitCode === null) process.kill(-bash.pid, "SIGKILL");
      await exited;
    },
  };
}

/** Reading changes nothing, so whoever waits for something reads again. */
function reads(command: string): boolean {
  if (/ -(d|X|T)\b|--data/.test(command)) return false;
  return /^(ask|curl|npm run -s troika -- (cluster|tasks|workers))\b/.test(command);
}

const PATIENCE_MS = 30_000;
const PAUSE_MS = 200;

/** Runs it, again for as long as that is harmless and the output is another; what was wrong, or undefined. */
export async function follow(
  shell: Shell,
  { command, expected }: { readonly command: string; readonly expected: string },
): Promise<string | undefined> {
  const pattern = patternOf(expected);
  for (const deadline = Date.now() + PATIENCE_MS; ; ) {
    const { status, output } = await shell.run(command);
    if (status === 0 && pattern.test(output === "" ? "\n" : `${output.trimEnd()}\n`)) return undefined;
    const again = reads(command) || output.includes('"retryable":true');
    if (!again || Date.now() > deadline)
      return `$ ${command}\nwas to print:\n${expected}\nand printed (exit ${status}):\n${output.slice(0, 3_000)}`;
    await sleep(PAUSE_MS);
  }
}
