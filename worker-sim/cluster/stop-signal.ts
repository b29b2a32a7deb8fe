/** When the launcher is told to end: by a signal, or by the end of the npm that started it. */
import { npmWatch } from "./npm-parent.ts";

const PARENT_POLL_MS = 250;
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export interface StopSignal {
  readonly signal: AbortSignal;
  /** Stops listening. */
  dispose(): void;
}

/** The reason of the signal's abort. */
export class Stopped extends Error {
  override readonly name = "Stopped";
}

/** `script` is the name of the npm script; `impatient` is called when somebody asks again. */
export function listenForStop(script: string, impatient: () => void): StopSignal {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) impatient();
    else controller.abort(new Stopped("told to end"));
  };
  for (const name of SIGNALS) process.on(name, stop);

  const npmGone = npmWatch(script);
  const watch =
    npmGone === undefined
      ? undefined
      : setInterval(() => {
          if (!controller.signal.aborted && npmGone()) stop();
        }, PARENT_POLL_MS);
  watch?.unref();
  return {
    signal: controller.signal,
    dispose() {
      for (const name of SIGNALS) process.removeListener(name, stop);
      clearInterval(watch);
    },
  };
}
