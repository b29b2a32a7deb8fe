/** A group on plain workerd, founded and ready, for one measurement. */
import { drive, type Http, httpTo, type Load, type Measured, type Send } from "./generator.ts";
import { startWorkerd, type Workerd } from "./workerd.ts";

/** Larger than any load here keeps waiting. */
const MAX_BACKLOG = "10000000";

export async function startTroika(
  variables: Readonly<Record<string, string>> = {},
  serving: readonly string[] = [],
  entry?: URL,
): Promise<Workerd> {
  const workerd = await startWorkerd({ BENCH: "on", MAX_BACKLOG, ...variables }, serving, entry);
  await untilReady(workerd.url);
  return workerd;
}

/** A write could commit now. */
export async function untilReady(url: string): Promise<void> {
  for (;;) {
    const response = await fetch(`${url}/readyz`).catch(() => undefined);
    await response?.body?.cancel();
    if (response?.status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** One load over connections that are opened for it alone. */
export async function measure(http: Http, workload: (http: Http) => Send, load: Load): Promise<Measured> {
  try {
    return await drive(workload(http), load);
  } finally {
    await http.close();
  }
}

export function measureAt(url: string, workload: (http: Http) => Send, load: Load): Promise<Measured> {
  return measure(httpTo(url, load.connections), workload, load);
}
