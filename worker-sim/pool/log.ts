/** One line per event of a pool, in the form of the cluster's logs. Inputs, proofs, tokens and the ids
 * of leases, which are their holder's secret, never stand in it: task and attempt say which lease it was. */
export type PoolLog = (
  message: string,
  fields?: Readonly<Record<string, string | number | undefined>>,
  level?: "info" | "warn" | "error",
) => void;

export function createPoolLog(worker_id: string, write: (line: string) => void = console.log): PoolLog {
  return (message, fields = {}, level = "info") => {
    const pairs = Object.entries(fields).flatMap(([name, value]) =>
      value === undefined
        ? []
        : [`${name}=${/^[^\s"=]+$/.test(String(value)) ? value : JSON.stringify(String(value))}`],
    );
    write(
      [`time=${new Date().toISOString()}`, `level=${level}`, `worker=${worker_id}`, message, ...pairs].join(
        " ",
      ),
    );
  };
}
