/** The replicas' SQLite files, looked at and deleted while no process holds them. */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Cluster } from "./harness.ts";

/** Deletes everything that these replicas have stored, as if their disks were gone. Only while the cluster is down. */
export async function loseStorage(cluster: Cluster, replicas: readonly string[]): Promise<void> {
  const folder = join(cluster.directory, "do", "troika-Replica");
  const files = await readdir(folder);
  const found: string[] = [];
  for (const file of files) {
    if (!/^[0-9a-f]{64}\.sqlite$/.test(file)) continue;
    const name = ownerOf(join(folder, file));
    if (name === undefined || !replicas.includes(name)) continue;
    found.push(name);
    for (const part of files.filter((each) => each.startsWith(file))) {
      // Closing a database may have removed what belonged to it.
      await rm(join(folder, part), { force: true });
    }
  }
  if (found.length !== replicas.length) throw new Error(`storage of ${replicas} wanted, of ${found} found`);
}

function ownerOf(path: string): string | undefined {
  const database = new DatabaseSync(path);
  try {
    const row = database.prepare("SELECT body FROM state WHERE key = 'identity'").get();
    // One that was removed from the group has no name until it is asked for again.
    return row === undefined ? undefined : (JSON.parse(String(row.body)) as { name?: string }).name;
  } finally {
    database.close();
  }
}
