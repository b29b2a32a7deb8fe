/**
 * The Worker and its Durable Objects on this machine: `wrangler dev`, told to keep to itself, and started again when it
 * ends by itself or no longer answers.
 */
import { rmSync, symlinkSync } from "node:fs";
import { devNull } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type KeptRunning, keepRunning } from "./kept-running.ts";
import { HOST, type Layout, routerUrl } from "./layout.ts";
import { type Logs, logOf } from "./logs.ts";

const GRACE_MS = 3_000;
const PROBE_MS = 2_000;
const PROBE_TIMEOUT_MS = 2_000;
const PROBES_MISSED_MAX = 3;

export interface RuntimeOptions {
  readonly root: string;
  readonly layout: Layout;
  readonly logs: Logs;
  readonly tls?: { readonly keyFile: string; readonly certificateFile: string };
  /** Said to the person at the terminal. */
  readonly say: (line: string) => void;
}

/** @param more variables of the Worker beside those of a local cluster */
export function wranglerArguments(
  { root, layout, tls }: Pick<RuntimeOptions, "root" | "layout" | "tls">,
  more: Readonly<Record<string, string>> = {},
): readonly string[] {
  const variables = {
    CLUSTER_ID: layout.clusterId,
    REPLICAS: String(layout.replicas),
    FAULTS: "on",
    REQUEST_LOG: "all",
    LOCAL_PORT_BASE: String(layout.members[0]?.port),
    ...more,
  };
  return [
    "--no-warnings",
    join(root, "node_modules", "wrangler", "wrangler-dist", "cli.js"),
    "dev",
    ...["--config", join(root, "wrangler.toml")],
    "--local",
    ...["--ip", HOST],
    ...["--port", String(layout.routerPort)],
    ...["--inspector-port", "0"],
    ...["--persist-to", layout.persistDirectory],
    ...["--local-protocol", layout.protocol],
    ...(tls === undefined ? [] : ["--https-key-path", tls.keyFile, "--https-cert-path", tls.certificateFile]),
    ...["--show-interactive-dev-session", "false"],
    ...["--log-level", "log"],
    ...Object.entries(variables).flatMap(([name, value]) => ["--var", `${name}:${value}`]),
  ];
}

/** wrangler appends everything a second time to a debug log that nothing bounds; a path that ends so is taken as a file. */
function debugSink(layout: Layout): string {
  const path = join(layout.directory, "wrangler-debug.log");
  rmSync(path, { force: true });
  symlinkSync(devNull, path);
  return path;
}

/** Nothing here may ask the network: no telemetry, no update check, no sample of Cloudflare's request metadata. */
export function wranglerEnvironment(layout: Layout): NodeJS.ProcessEnv {
  return {
    ...process.env,
    NODE_OPTIONS: "",
    NO_COLOR: "1",
    FORCE_COLOR: "0",
    CI: "1",
    DO_NOT_TRACK: "1",
    WRANGLER_SEND_METRICS: "false",
    WRANGLER_SEND_ERROR_REPORTS: "false",
    WRANGLER_HIDE_BANNER: "true",
    WRANGLER_NO_SKILLS_UPDATE_PROMPTS: "true",
    WRANGLER_LOG_PATH: debugSink(layout),
    WRANGLER_REGISTRY_PATH: join(layout.directory, "registry"),
    CLOUDFLARE_CF_FETCH_ENABLED: "false",
    CLOUDFLARE_LOAD_DEV_VARS_FROM_DOT_ENV: "false",
  };
}

export function startRuntime(options: RuntimeOptions): KeptRunning {
  const { root, layout, logs, say } = options;
  const args = wranglerArguments(options);
  const kept = keepRunning({
    title: "The local runtime (wrangler dev)",
    program: {
      command: process.execPath,
      args,
      cwd: root,
      env: wranglerEnvironment(layout),
      grace_ms: GRACE_MS,
    },
    attach({ stdout, stderr }) {
      logs.attach(stdout, logOf);
      logs.attach(stderr, logOf);
    },
    say,
  });
  const unwatch = whenSilent(routerUrl(layout), () => kept.restart("no longer answered"));
  return {
    ...kept,
    async end() {
      unwatch();
      await kept.end();
    },
    kill() {
      unwatch();
      kept.kill();
    },
  };
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/livez`, { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
    await response.body?.cancel();
    return true;
  } catch {
    return false;
  }
}

/**
 * wrangler replaces a workerd that dies, but when it was the one that listens, requests hang from then on. `restart` is
 * called after several probes in a row had no answer of any kind; before the first answer there is nothing to restart.
 */
function whenSilent(url: string, restart: () => void): () => void {
  const stop = new AbortController();
  const watch = async () => {
    let silent: number | undefined;
    while (!stop.signal.aborted) {
      await sleep(PROBE_MS, undefined, { signal: stop.signal });
      if (await answers(url)) silent = 0;
      else if (silent !== undefined && ++silent === PROBES_MISSED_MAX) {
        silent = undefined;
        restart();
      }
    }
  };
  watch().catch((error: unknown) => {
    if (!stop.signal.aborted) throw error;
  });
  return () => stop.abort();
}
