/** One line per event of a pool, in the form of the cluster's logs. Inputs, proofs and tokens never stand in it. */
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
