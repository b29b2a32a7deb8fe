/**
 * `npm start` and `npm run demo`: the whole system on this machine. Everything that is started here is ended here, in
 * the order pool, ports, runtime, however the launcher ends.
 */
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { type CertificateFiles, ensureCertificate } from "./certificate.ts";
import type { KeptRunning } from "./kept-running.ts";
import { type Layout, layoutOf, memberUrl, type ReplicaCount, routerUrl } from "./layout.ts";
import { type LocalPool, startPool } from "./local-pool.ts";
import { type Lock, takeLock } from "./lock.ts";
import { type Logs, openLogs } from "./logs.ts";
import { requireFreePorts } from "./ports.ts";
import { Problem } from "./problem.ts";
import { openReplicaPort, type ReplicaPort } from "./replica-port.ts";
import { startRuntime } from "./runtime.ts";
import { showSample } from "./sample.ts";
import { emptyState, openState, requireDirectory } from "./state.ts";
import { listenForStop } from "./stop-signal.ts";
import type { Terminal } from "./terminal.ts";
import { tryNext } from "./try-next.ts";

export interface StartOptions {
  /** Of the project. */
  readonly root: string;
  readonly stateRoot: string;
  readonly replicas: ReplicaCount;
  readonly port: number;
  readonly https: boolean;
  readonly fresh: boolean;
  readonly pool: boolean;
  /** Proving threads of the pool. */
  readonly threads: number;
  /** End after the sample task instead of staying up. */
  readonly demo: boolean;
}

const READY_MS = 90_000;
const READY_POLL_MS = 100;
/** A launcher that was killed leaves its programs a moment to end. */
const TAKEOVER_PATIENCE_MS = 8_000;
const SHOWN_LOG_LINES = 15;

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2_000) });
    await response.body?.cancel();
    return response.status === 200;
  } catch {
    return false;
  }
}

async function untilReady(layout: Layout, logs: Logs, stopped: AbortSignal): Promise<void> {
  const url = routerUrl(layout);
  const asked = Date.now();
  while (!(await isReady(url))) {
    stopped.throwIfAborted();
    if (Date.now() - asked > READY_MS) {
      const lines = [
        ...logs.recent("wrangler", SHOWN_LOG_LINES),
        ...logs.recent("coordinator-1", SHOWN_LOG_LINES),
      ];
      const shown =
        lines.length === 0 ? "" : ` Its last words:\n${lines.map((line) => `    ${line}`).join("\n")}`;
      throw new Problem(
        `The cluster did not become ready within ${READY_MS / 1000} s; its logs are in ${layout.logDirectory}.${shown}`,
      );
    }
    await sleep(READY_POLL_MS, undefined, { signal: stopped });
  }
}

/** What was started so far; ended in reverse. */
interface Parts {
  lock?: Lock;
  logs?: Logs;
  runtime?: KeptRunning;
  readonly ports: ReplicaPort[];
  pool?: LocalPool;
}

async function endParts(parts: Parts, terminal: Terminal): Promise<void> {
  if (parts.pool !== undefined) {
    terminal.step("ending", "the pool finishes what it is proving");
    await parts.pool.end();
  }
  await Promise.all(parts.ports.map((port) => port.close()));
  await parts.runtime?.end();
  parts.logs?.close();
  parts.lock?.release();
}

function trust(certificate: string): void {
  setDefaultCACertificates([...getCACertificates("default"), certificate]);
}

async function run(
  options: StartOptions,
  terminal: Terminal,
  parts: Parts,
  stopped: AbortSignal,
): Promise<void> {
  const layout = layoutOf(options);
  requireDirectory(layout);
  let tls: CertificateFiles | undefined;
  parts.lock = takeLock(layout.directory, {
    router_url: routerUrl(layout),
    members: layout.members.map(({ name, port }) => ({ name, url: memberUrl(layout, port) })),
    log_directory: layout.logDirectory,
    ...(options.https ? { certificate: `${layout.tlsDirectory}/certificate.pem` } : {}),
  });
  await requireFreePorts(layout, parts.lock.takenOver ? TAKEOVER_PATIENCE_MS : 0);
  if (options.fresh) emptyState(layout);
  const { founded, foundedAt } = openState(layout);
  if (options.https) {
    tls = ensureCertificate(layout.tlsDirectory, Date.now());
    trust(tls.certificate);
  }
  const logs = openLogs(layout.logDirectory);
  parts.logs = logs;
  stopped.throwIfAborted();

  const count = layout.replicas === 1 ? "one replica (single-node mode)" : `${layout.replicas} replicas`;
  terminal.step(
    "starting",
    `cluster ${layout.clusterId}, ${count}, ${founded ? "new state" : `state from ${foundedAt}`} in ${layout.directory}`,
  );
  const runtime = startRuntime({
    root: options.root,
    layout,
    logs,
    say: (line) => terminal.step("runtime", line),
    ...(tls === undefined ? {} : { tls }),
  });
  parts.runtime = runtime;
  for (const { name, port } of layout.members) {
    parts.ports.push(
      await openReplicaPort({
        name,
        port,
        routerPort: layout.routerPort,
        ...(tls === undefined ? {} : { tls }),
      }),
    );
  }
  if (options.pool) {
    // Beside the runtime: the provers load their keys while the group elects its leader.
    parts.pool = startPool({
      root: options.root,
      layout,
      logs,
      threads: options.threads,
      say: (line) => terminal.step("pool", line),
      ...(tls === undefined ? {} : { certificateFile: tls.certificateFile }),
    });
  }
  const failed = Promise.race([runtime.failed, ...(parts.pool === undefined ? [] : [parts.pool.failed])]);
  await Promise.race([untilReady(layout, logs, stopped), failed]);
  terminal.step(
    "ready",
    `router ${routerUrl(layout)}, replicas ${layout.members.map(({ port }) => port).join(", ")}`,
  );

  if (parts.pool === undefined) {
    terminal.step(
      "no pool",
      `nothing will be proved until one runs: npm run troika -- pool${options.port === 8080 && !options.https ? "" : ` (TROIKA_URL=${routerUrl(layout)})`}`,
    );
    if (options.demo) throw new Problem("The demo needs a pool: run it without --no-pool.");
  } else {
    await Promise.race([showSample({ layout, terminal, pool: parts.pool, stopped }), failed]);
  }
  if (options.demo) return;
  stopped.throwIfAborted();
  const usual = options.stateRoot === join(options.root, ".troika");
  terminal.text(tryNext(layout, tls?.certificateFile, usual ? "" : ` --state ${options.stateRoot}`));
  await Promise.race([failed, once(stopped, "abort")]);
}

/**
 * Runs until it is told to end, or until the sample task is done.
 * @throws {Problem} after everything that it started has ended.
 */
export async function start(options: StartOptions, terminal: Terminal): Promise<void> {
  const parts: Parts = { ports: [] };
  const stop = listenForStop(options.demo ? "demo" : "start", () => {
    parts.pool?.kill();
    parts.runtime?.kill();
  });
  try {
    await run(options, terminal, parts, stop.signal);
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    await endParts(parts, terminal);
    stop.dispose();
  }
  terminal.step("ended", "every process that was started has ended");
  if (options.demo && stop.signal.aborted) throw new Problem("The demo was interrupted.");
}
