/** One module as a Worker on workerd, on a loopback port of its own, and nothing else beside it. */
import { Log, LogLevel, Miniflare, type MiniflareOptions } from "miniflare";

type Config = Extract<MiniflareOptions, { readonly workers: unknown }>["workers"][number]["config"];

/** @param more bindings and exported classes */
export function oneWorker(name: string, contents: string, more: Partial<Config> = {}): Miniflare {
  return new Miniflare({
    host: "127.0.0.1",
    port: 0,
    log: new Log(LogLevel.NONE),
    logRequests: false,
    telemetry: { enabled: false },
    workers: [
      {
        config: {
          name,
          compatibilityDate: "2026-11-01",
          manifest: {
            mainModule: "worker.js",
            modulesRoot: "/",
            modules: { "worker.js": { type: "esm", contents } },
          },
          ...more,
        },
      },
    ],
  });
}
