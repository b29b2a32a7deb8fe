/**
 * The cluster on plain workerd: the bundled Worker and a small configuration, none of the development proxies between.
 * One process that can be killed and started again on the same storage. Loopback only.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import workerd from "workerd";
import { bundleWorker } from "../test/support/bundle.ts";
import { directoryEndsWithUs, endsWithUs } from "./children.ts";

/** The native program, not the script that wraps it: killing it must kill what runs. */
const WORKERD = workerd.default;

export interface Workerd {
  readonly url: string;
  readonly pid: number;
  readonly directory: string;
  /** Every line that the Worker logged. */
  readonly logs: string[];
  /** `kill -9` of the process; resolves when it is gone. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Ends the process and removes its storage. */
  close(): Promise<void>;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port was given");
  server.close();
  await once(server, "close");
  return address.port;
}

function configuration(
  port: number,
  storage: string,
  variables: Readonly<Record<string, string>>,
  wasm: readonly string[],
): string {
  const compiled = wasm.map((name) => `, ( name = "${name}", wasm = embed "${name}" )`).join("");
  const bindings = Object.entries(variables).map(
    ([name, value]) => `    ( name = ${JSON.stringify(name)}, text = ${JSON.stringify(value)} ),`,
  );
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    ( name = "troika", worker = .troika ),
    ( name = "storage", disk = ( path = ${JSON.stringify(storage)}, writable = true ) ),
  ],
  sockets = [ ( name = "http", address = "127.0.0.1:${port}", http = (), service = "troika" ) ],
);
const troika :Workerd.Worker = (
  modules = [ ( name = "worker.js", esModule = embed "worker.js" )${compiled} ],
  compatibilityDate = "2026-11-01",
  bindings = [
    ( name = "REPLICA", durableObjectNamespace = "Replica" ),
${bindings.join("\n")}
  ],
  durableObjectNamespaces = [ ( className = "Replica", uniqueKey = "troika-replica", enableSql = true ) ],
  durableObjectStorage = ( localDisk = "storage" ),
);
`;
}

/**
 * @param serving further arguments of `workerd serve`
 * @param entry another one than the deployed Worker's
 */
export async function startWorkerd(
  variables: Readonly<Record<string, string>> = {},
  serving: readonly string[] = [],
  entry?: URL,
): Promise<Workerd> {
  const directory = directoryEndsWithUs(await mkdtemp(join(tmpdir(), "troika-bench-")));
  const storage = join(directory, "storage");
  await mkdir(storage);
  const port = await freePort();
  const { code, wasm } = await bundleWorker(entry);
  await writeFile(join(directory, "worker.js"), code);
  for (const [name, contents] of Object.entries(wasm)) await writeFile(join(directory, name), contents);
  // As wrangler.toml deploys it, but for the faults.
  const settings = {
    ...{ CLUSTER_ID: "bench", REPLICAS: "3", REQUEST_LOG: "failed", FAULTS: "on" },
    ...variables,
  };
  await writeFile(join(directory, "config.capnp"), configuration(port, storage, settings, Object.keys(wasm)));
  const logs: string[] = [];
  let child: ChildProcess | undefined;

  const start = async (): Promise<void> => {
    const started = endsWithUs(
      spawn(WORKERD, ["serve", ...serving, join(directory, "config.capnp")], {
        stdio: ["ignore", "pipe", "pipe"],
      }),
    );
    child = started;
    const keep = (chunk: Buffer): void => {
      logs.push(
        ...chunk
          .toString()
          .split("\n")
          .filter((line) => line !== ""),
      );
    };
    started.stdout.on("data", keep);
    started.stderr.on("data", keep);
    const deadline = Date.now() + 10_000;
    for (;;) {
      if (started.exitCode !== null) throw new Error(`workerd ended at once: ${logs.slice(-5).join("\n")}`);
      try {
        await fetch(`http://127.0.0.1:${port}/livez`);
        return;
      } catch (error) {
        if (Date.now() > deadline) throw new Error("workerd does not listen", { cause: error });
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
  };
  const kill = async (): Promise<void> => {
    const running = child;
    child = undefined;
    if (!running || running.exitCode !== null) return;
    const gone = once(running, "exit");
    running.kill("SIGKILL");
    await gone;
  };
  await start();
  return {
    url: `http://127.0.0.1:${port}`,
    get pid() {
      return child?.pid ?? -1;
    },
    directory,
    logs,
    kill,
    start,
    close: async () => {
      await kill();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
