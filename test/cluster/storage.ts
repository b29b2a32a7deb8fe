/** The replicas' SQLite files, looked at and deleted while no process holds them. */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { recordsOf } from "../support/records.ts";
import type { Cluster } from "./harness.ts";

/** Deletes everything that these replicas have stored, as if their disks were gone. Only while the cluster is down. */
export async function loseStorage(cluster: Cluster, replicas: readonly string[]): Promise<void> {
  for (const name of replicas) {
    const path = await databaseOf(cluster.directory, name);
    // Closing a database may have removed what belonged to it.
    for (const part of ["", "-wal", "-shm"]) await rm(path + part, { force: true });
  }
}

/** The records of a replica as of its checkpoint. `directory` holds what its process had stored. */
export async function recordsIn(directory: string, replica: string): Promise<ReadonlyMap<string, string>> {
  const database = new DatabaseSync(await databaseOf(directory, replica));
  try {
    return recordsOf((query) => database.prepare(query).all());
  } finally {
    database.close();
  }
}

async function databaseOf(directory: string, replica: string): Promise<string> {
  const files = await readdir(directory, { recursive: true });
  const databases = files.filter((file) => /\b[0-9a-f]{64}\.sqlite$/.test(file));
  for (const file of databases) {
    const path = join(directory, file);
    if (ownerOf(path) === replica) return path;
  }
  throw new Error(`storage of ${replica} is not among ${databases}`);
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
