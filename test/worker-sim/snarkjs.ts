// snarkjs as the second opinion of tests: in this thread, with an engine that is built once and keeps nothing alive.

import { curves } from "snarkjs";

export async function startSnarkjs(): Promise<void> {
  Object.assign(globalThis, { curve_bn128: await curves.getCurveFromName("bn128", { singleThread: true }) });
}
