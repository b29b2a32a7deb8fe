/** One line per event of a pool, in the form of the cluster's logs. Inputs, proofs, tokens and whole ids of leases never stand in it. */
export type PoolLog = (
  message: string,
  fields?: Readonly<Record<string, string | number | undefined>>,
  level?: "info" | "warn" | "error",
) => void;

/** The end of a lease's id is what its holder alone knows. */
const LEASE_SECRET = /([0-9a-f-]{36}\.\d+)\.[0-9a-f]{16}/g;

export function createPoolLog(worker_id: string, write: (line: string) => void = console.log): PoolLog {
  return (message, fields = {}, level = "info") => {
    const pairs = Object.entries(fields).flatMap(([name, value]) =>
      value === undefined
        ? []
        : [`${name}=${/^[^\s"=]+$/.test(String(value)) ? value : JSON.stringify(String(value))}`],
    );
    const head = [`time=${new Date().toISOString()}`, `level=${level}`, `worker=${worker_id}`, message];
    write([...head, ...pairs].join(" ").replaceAll(LEASE_SECRET, "$1"));
  };
}
