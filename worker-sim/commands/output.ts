/** What commands print: tables for people, JSON for programs. */

/** Columns as wide as their widest cell. */
export function table(rows: readonly (readonly string[])[]): string {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** One line, for `jq` and for `read`. */
export function printJson(value: unknown): void {
  console.log(JSON.stringify(value));
}

export function short(text: string, length = 22): string {
  return text.length <= length ? text : `${text.slice(0, length)}…`;
}
