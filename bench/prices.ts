/**
 * Cloudflare's prices of November 2026, Workers Paid, in US dollars a month:
 * https://developers.cloudflare.com/durable-objects/platform/pricing/ and https://developers.cloudflare.com/workers/platform/pricing/
 */

interface Price {
  /** In the plan. */
  readonly included: number;
  /** For each million more. */
  readonly million: number;
}

/** Reading rows is left out: 25 billion a month are included, and nothing here comes near. */
export const PRICES = {
  rows: { included: 50_000_000, million: 1 },
  object_requests: { included: 1_000_000, million: 0.15 },
  gigabyte_seconds: { included: 400_000, million: 12.5 },
  worker_requests: { included: 10_000_000, million: 0.3 },
  worker_cpu_ms: { included: 30_000_000, million: 0.02 },
} as const satisfies Readonly<Record<string, Price>>;

export const PLAN = 5;
/** What an object counts as, whatever it uses. */
export const OBJECT_GB = 0.128;
/** A month of 730 hours. */
export const MONTH_S = 730 * 3_600;

export type Meter = keyof typeof PRICES;
export type Used = Readonly<Record<Meter, number>>;

/** Beyond what the plan includes, and what the plan costs. */
export function bill(used: Used): Readonly<Record<Meter, number>> & { readonly total: number } {
  const costs = { rows: 0, object_requests: 0, gigabyte_seconds: 0, worker_requests: 0, worker_cpu_ms: 0 };
  let total = PLAN;
  for (const meter of Object.keys(costs) as Meter[]) {
    const { included, million } = PRICES[meter];
    costs[meter] = (Math.max(0, used[meter] - included) / 1e6) * million;
    total += costs[meter];
  }
  return { ...costs, total };
}
