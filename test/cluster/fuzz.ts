/** `npm run fuzz -- [requests] [seed]`: hostile requests on real workerd, 10,000 by default. */
import { ready, startCluster } from "./harness.ts";
import { hostileRequests, sendAll } from "./hostile.ts";

const SLICE = 500;
const [count = "10000", given = String(Date.now() % 1_000_000)] = process.argv.slice(2);
const total = Number(count);
console.log(`${total} requests, seed ${given}`);
const cluster = await startCluster({ variables: { FAULTS: "off", LEASE_MS: "86400000" } });
const statuses: Record<string, number> = {};
let found = 0;
try {
  await ready(cluster);
  const requests = hostileRequests(Number(given), total);
  for (let at = 0; at < total; at += SLICE) {
    const slice = await sendAll(cluster, requests.slice(at, at + SLICE));
    for (const [status, seen] of Object.entries(slice.statuses))
      statuses[status] = (statuses[status] ?? 0) + seen;
    for (const finding of slice.findings) console.log(`after ${at}: ${finding}`);
    found += slice.findings.length;
    console.log(`${Math.min(at + SLICE, total)} sent`);
  }
} finally {
  await cluster.stop();
}
console.log(JSON.stringify(statuses));
console.log(found === 0 ? "no findings" : `${found} findings`);
process.exitCode = found === 0 ? 0 : 1;
