/** The command line: which command, and what it was told. Everything unknown is a sentence, the usage, and exit code 2. */
import { availableParallelism } from "node:os";
import type { ParseArgsOptionsConfig } from "node:util";
import { DEFAULT_PORT, type ReplicaCount } from "./cluster/layout.ts";
import { UsageProblem } from "./cluster/problem.ts";
import { ROLES, type TokenOptions } from "./commands/token.ts";
import {
  CHOICE_OPTIONS,
  type ClusterChoice,
  choice,
  parsed,
  replicaCount,
  required,
  wholeNumber,
} from "./flags.ts";
import {
  isRemoteCommand,
  REMOTE_USAGE,
  type RemoteInvocation,
  remoteInvocation,
} from "./remote-arguments.ts";

export const FAULT_COMMANDS = ["stop", "start", "restart"] as const;

export type Invocation =
  | { readonly type: "help" }
  | {
      readonly type: "start";
      readonly demo: boolean;
      readonly replicas: ReplicaCount;
      readonly state: string | undefined;
      readonly port: number;
      readonly https: boolean;
      readonly fresh: boolean;
      readonly pool: boolean;
      readonly threads: number;
    }
  | { readonly type: "pool" }
  | { readonly type: "deploy"; readonly args: readonly string[] }
  | ({ readonly type: "token" } & TokenOptions)
  | RemoteInvocation
  | (ClusterChoice & { readonly type: "status"; readonly json: boolean })
  | (ClusterChoice & {
      readonly type: "fault";
      readonly action: (typeof FAULT_COMMANDS)[number];
      readonly replica: string;
      readonly json: boolean;
    })
  | (ClusterChoice & {
      readonly type: "logs";
      readonly name: string;
      readonly follow: boolean;
      readonly lines: number;
    });

export const USAGE = `usage:
  npm start -- [flags]                       the cluster, a worker pool and a sample task; Ctrl-C ends it
  npm run demo -- [flags]                    the same, ends after the sample task
      --replicas 1|3|5|7                     3 by default; each has its own state
      --fresh                                begin with empty state
      --https                                serve HTTPS
      --no-pool                              without provers
      --threads N                            proving threads, one per core by default
      --port N                               the router's, 8080 by default; replicas follow from N + 10
      --state DIR                            where state and logs are, .troika by default
  npm run troika -- status [--json]          replicas and workers of the running cluster
  npm run troika -- stop|start|restart coordinator-2 [--json]
  npm run troika -- logs coordinator-2 [-f] [--lines N]
                                             also: router, wrangler, pool
${REMOTE_USAGE}
  npm run troika -- pool                     a worker pool alone, for TROIKA_URL
  npm run deploy -- [wrangler's flags]       to Cloudflare, after the variables were read
  npm run troika -- token NAME ROLE --file F a new token; F, for wrangler, gets its hash`;

const START_OPTIONS = {
  replicas: { type: "string" },
  state: { type: "string" },
  fresh: { type: "boolean" },
  https: { type: "boolean" },
  pool: { type: "boolean" },
  threads: { type: "string" },
  port: { type: "string" },
} as const satisfies ParseArgsOptionsConfig;

const JSON_OPTIONS = {
  ...CHOICE_OPTIONS,
  json: { type: "boolean" },
} as const satisfies ParseArgsOptionsConfig;

const LOGS_OPTIONS = {
  ...CHOICE_OPTIONS,
  follow: { type: "boolean", short: "f" },
  lines: { type: "string" },
} as const satisfies ParseArgsOptionsConfig;

const PORT_MAX = 65_500;
const THREADS_MAX = 256;
const LINES_DEFAULT = 50;
const LINES_MAX = 100_000;

function startInvocation(args: readonly string[], demo: boolean): Invocation {
  const { values } = parsed(args, START_OPTIONS, 0);
  return {
    type: "start",
    demo,
    replicas: replicaCount(values.replicas) ?? 3,
    state: values.state,
    port: wholeNumber("port", values.port, 1, PORT_MAX, DEFAULT_PORT),
    https: values.https ?? false,
    fresh: values.fresh ?? false,
    pool: values.pool ?? true,
    threads: wholeNumber("threads", values.threads, 1, THREADS_MAX, availableParallelism()),
  };
}

function requireName(name: string | undefined, what: string): string {
  if (name === undefined) throw new UsageProblem(`It must be said ${what}, for example coordinator-2.`);
  return name;
}

/** @throws {UsageProblem} */
export function readArguments(argv: readonly string[]): Invocation {
  const [command, ...args] = argv;
  switch (command) {
    case undefined:
      throw new UsageProblem("A command is missing.");
    case "help":
    case "--help":
    case "-h":
      return { type: "help" };
    case "demo":
      return startInvocation(args, true);
    case "start":
      // `start coordinator-2` ends a fault; `start` alone, or with flags, is the whole cluster.
      if (!args.some((argument) => argument.startsWith("coordinator-"))) return startInvocation(args, false);
      return faultInvocation("start", args);
    case "stop":
    case "restart":
      return faultInvocation(command, args);
    case "status": {
      const { values } = parsed(args, JSON_OPTIONS, 0);
      return { type: "status", json: values.json ?? false, ...choice(values) };
    }
    case "logs": {
      const { values, positionals } = parsed(args, LOGS_OPTIONS, 1);
      const name = requireName(positionals[0], "whose logs");
      const lines = wholeNumber("lines", values.lines, 0, LINES_MAX, LINES_DEFAULT);
      return {
        type: "logs",
        name,
        follow: values.follow ?? false,
        lines,
        ...choice(values),
      };
    }
    case "pool":
      parsed(args, {}, 0);
      return { type: "pool" };
    case "deploy":
      return { type: "deploy", args };
    case "token": {
      const options = { file: { type: "string" }, json: { type: "boolean" } } as const;
      const { values, positionals } = parsed(args, options, 2);
      const role = ROLES.find((one) => one === positionals[1]);
      if (role === undefined) {
        throw new UsageProblem(
          `The role is ${JSON.stringify(positionals[1] ?? "")}, but it must be ${ROLES.join(", ")}.`,
        );
      }
      return {
        type: "token",
        name: required(positionals[0], "whose token it is"),
        role,
        file: required(values.file, "with --file which file of secrets gets the token's hash"),
        json: values.json ?? false,
      };
    }
    default:
      if (isRemoteCommand(command)) return remoteInvocation(command, args);
      throw new UsageProblem(`There is no command "${command}".`);
  }
}

function faultInvocation(action: (typeof FAULT_COMMANDS)[number], args: readonly string[]): Invocation {
  const { values, positionals } = parsed(args, JSON_OPTIONS, 1);
  const replica = requireName(positionals[0], `which replica to ${action}`);
  if (!/^coordinator-\d+$/.test(replica)) {
    throw new UsageProblem(
      `"${replica}" is no replica: they are called coordinator-1, coordinator-2 and so on.`,
    );
  }
  return { type: "fault", action, replica, json: values.json ?? false, ...choice(values) };
}
