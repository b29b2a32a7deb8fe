/** The commands that talk to any coordinator, local or not: what they are told. */
import type { ParseArgsOptionsConfig } from "node:util";
import { taskStatuses } from "../src/api/tasks.ts";
import { UsageProblem } from "./cluster/problem.ts";
import type { EventsOptions, TasksOptions } from "./commands/lists.ts";
import type { SmokeOptions } from "./commands/smoke.ts";
import type { SubmitOptions, WatchOptions } from "./commands/submit.ts";
import type { Target } from "./commands/target.ts";
import { CHOICE_OPTIONS, choice, parsed, required, wholeNumber } from "./flags.ts";

const REMOTE_COMMANDS = ["submit", "watch", "tasks", "workers", "cluster", "events", "smoke"] as const;
type RemoteCommand = (typeof REMOTE_COMMANDS)[number];

export type RemoteInvocation =
  | ({ readonly type: "submit" } & SubmitOptions)
  | ({ readonly type: "watch" } & WatchOptions)
  | ({ readonly type: "tasks" } & TasksOptions)
  | ({ readonly type: "workers"; readonly worker_id: string | undefined; readonly json: boolean } & Target)
  | ({ readonly type: "cluster"; readonly json: boolean } & Target)
  | ({ readonly type: "events" } & EventsOptions)
  | ({ readonly type: "smoke" } & SmokeOptions);

export const REMOTE_USAGE = `  npm run troika -- submit CIRCUIT INPUT     a task, and its way to the proof; INPUT is JSON, @file or -
      --no-wait                              only submit
      --timeout N                            seconds to wait for the proof, 120 by default
  npm run troika -- watch TASK_ID            a task's way to its proof
  npm run troika -- tasks [TASK_ID]          the newest tasks, or one with its attempts
      --status S --circuit C --worker W --limit N
  npm run troika -- workers [WORKER_ID]
  npm run troika -- cluster                  health, and every replica's own view
  npm run troika -- events [--after N] [-f]  Critical events, one a line
      --system                               with -f: the system's own too
  npm run smoke -- URL [--no-proof]          whether a deployment does its work, step by step
      --url URL                              a coordinator elsewhere (TROIKA_URL; the token is TROIKA_TOKEN's)
      --json                                 for programs, with every command but logs and pool`;

const TARGET_OPTIONS = {
  ...CHOICE_OPTIONS,
  url: { type: "string" },
  json: { type: "boolean" },
} as const satisfies ParseArgsOptionsConfig;

const WAIT_OPTIONS = {
  ...TARGET_OPTIONS,
  timeout: { type: "string" },
} as const satisfies ParseArgsOptionsConfig;

const TIMEOUT_S = 120;
const TIMEOUT_S_MAX = 86_400;
const LIMIT = 20;
const LIMIT_MAX = 500;

export function isRemoteCommand(command: string): command is RemoteCommand {
  return (REMOTE_COMMANDS as readonly string[]).includes(command);
}

function address(name: string, url: string): string {
  if (/^https?:\/\//.test(url)) return url;
  throw new UsageProblem(`${name} is "${url}", but it must begin with http:// or https://.`);
}

function target(values: {
  readonly replicas?: string;
  readonly state?: string;
  readonly url?: string;
}): Target {
  if (values.url !== undefined) address("--url", values.url);
  return { ...choice(values), url: values.url };
}

function timeoutMs(text: string | undefined): number {
  return wholeNumber("timeout", text, 1, TIMEOUT_S_MAX, TIMEOUT_S) * 1_000;
}

/** @throws {UsageProblem} */
export function remoteInvocation(type: RemoteCommand, args: readonly string[]): RemoteInvocation {
  switch (type) {
    case "submit": {
      const options = { ...WAIT_OPTIONS, wait: { type: "boolean" } } as const;
      const { values, positionals } = parsed(args, options, 2);
      return {
        type,
        circuit: required(positionals[0], "for which circuit, for example merkle"),
        input: required(positionals[1], "what is to be proved: JSON, @file or - for standard input"),
        wait: values.wait ?? true,
        json: values.json ?? false,
        timeout_ms: timeoutMs(values.timeout),
        ...target(values),
      };
    }
    case "watch": {
      const { values, positionals } = parsed(args, WAIT_OPTIONS, 1);
      return {
        type,
        task_id: required(positionals[0], "which task to watch, by its id"),
        json: values.json ?? false,
        timeout_ms: timeoutMs(values.timeout),
        ...target(values),
      };
    }
    case "tasks": {
      const options = {
        ...TARGET_OPTIONS,
        status: { type: "string" },
        circuit: { type: "string" },
        worker: { type: "string" },
        limit: { type: "string" },
      } as const;
      const { values, positionals } = parsed(args, options, 1);
      const { status, circuit, worker } = values;
      if (status !== undefined && !(taskStatuses as readonly string[]).includes(status)) {
        throw new UsageProblem(`--status is "${status}", but it must be one of ${taskStatuses.join(", ")}.`);
      }
      return {
        type,
        task_id: positionals[0],
        filter: {
          limit: wholeNumber("limit", values.limit, 1, LIMIT_MAX, LIMIT),
          ...(status === undefined ? {} : { status }),
          ...(circuit === undefined ? {} : { circuit }),
          ...(worker === undefined ? {} : { worker_id: worker }),
        },
        json: values.json ?? false,
        ...target(values),
      };
    }
    case "workers": {
      const { values, positionals } = parsed(args, TARGET_OPTIONS, 1);
      return { type, worker_id: positionals[0], json: values.json ?? false, ...target(values) };
    }
    case "cluster": {
      const { values } = parsed(args, TARGET_OPTIONS, 0);
      return { type, json: values.json ?? false, ...target(values) };
    }
    case "events": {
      const options = {
        ...TARGET_OPTIONS,
        after: { type: "string" },
        follow: { type: "boolean", short: "f" },
        system: { type: "boolean" },
      } as const;
      const { values } = parsed(args, options, 0);
      const { follow = false, system = false } = values;
      if (system && !follow)
        throw new UsageProblem("--system needs -f: the list has only what was submitted.");
      const after = wholeNumber("after", values.after, 0, Number.MAX_SAFE_INTEGER, 0);
      return { type, after, follow, system, json: values.json ?? false, ...target(values) };
    }
    case "smoke": {
      const options = {
        json: { type: "boolean" },
        proof: { type: "boolean" },
        timeout: { type: "string" },
      } as const;
      const { values, positionals } = parsed(args, options, 1);
      return {
        type,
        url: address("The address", required(positionals[0], "which deployment, by its address")),
        proof: values.proof ?? true,
        json: values.json ?? false,
        timeout_ms: timeoutMs(values.timeout),
      };
    }
  }
}
