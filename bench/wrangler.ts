/** The cluster under `wrangler dev`, as `npm start` runs it: with the development proxies between. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { layoutOf, type ReplicaCount } from "../worker-sim/cluster/layout.ts";
import { wranglerArguments, wranglerEnvironment } from "../worker-sim/cluster/runtime.ts";
import { directoryEndsWithUs, groupEndsWithUs, killGroup } from "./children.ts";
import { untilReady } from "./troika.ts";
import { freePort } from "./workerd.ts";

export interface Wrangler {
  readonly url: string;
  close(): Promise<void>;
}

export async function startWrangler(
  replicas: ReplicaCount,
  variables: Readonly<Record<string, string>>,
): Promise<Wrangler> {
  const stateRoot = directoryEndsWithUs(await mkdtemp(join(tmpdir(), "troika-bench-")));
  const layout = layoutOf({ stateRoot, replicas, port: await freePort(), https: false });
  await mkdir(layout.directory, { recursive: true });
  const root = fileURLToPath(new URL("..", import.meta.url));
  const started = groupEndsWithUs(
    spawn(process.execPath, wranglerArguments({ root, layout }, variables), {
      cwd: root,
      env: wranglerEnvironment(layout),
      stdio: "ignore",
      detached: true,
    }),
  );
  const url = `http://127.0.0.1:${layout.routerPort}`;
  const ended = once(started, "exit").then(() => {
    throw new Error("wrangler dev ended before it was ready");
  });
  await Promise.race([untilReady(url), ended]);
  return {
    url,
    close: async () => {
      const gone = ended.catch(() => {});
      killGroup(started);
      await gone;
      await rm(stateRoot, { recursive: true, force: true });
    },
  };
}
