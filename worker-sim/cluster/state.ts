/**
 * The state directory of a local cluster and the file that says whose state it is. State that is unreadable, of another
 * version or of another cluster is refused: founding a group over it would break it in silence.
 */
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Layout } from "./layout.ts";
import { Problem } from "./problem.ts";

const CLUSTER_VERSION = 1;

const clusterSchema = z.object({
  v: z.number().int(),
  cluster_id: z.string(),
  replicas: z.number().int(),
  /** RFC 3339. */
  founded_at: z.iso.datetime(),
});

function wayOut(layout: Layout): string {
  return `start with --fresh to empty it, or move ${layout.directory} away`;
}

/** Makes sure that the directory can be used at all. @throws {Problem} */
export function requireDirectory(layout: Layout): void {
  const { directory } = layout;
  try {
    mkdirSync(directory, { recursive: true });
    if (!statSync(directory).isDirectory())
      throw new Problem(`${directory} is not a directory: move it away.`);
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    if (error instanceof Problem) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "EEXIST" || code === "ENOTDIR") {
      throw new Problem(
        `The state directory ${directory} cannot be made because a file is in its way: move that file away.`,
      );
    }
    throw new Problem(
      `The state directory ${directory} cannot be used (${code ?? String(error)}): check who owns it.`,
    );
  }
}

/** Everything that the cluster wrote, its logs included; the lock stays. */
export function emptyState(layout: Layout): void {
  for (const path of [
    join(layout.directory, "cluster.json"),
    layout.persistDirectory,
    layout.logDirectory,
    layout.tlsDirectory,
  ]) {
    rmSync(path, { recursive: true, force: true });
  }
}

/**
 * Checks what is there, or founds: `founded` tells that the state begins now.
 * @throws {Problem} for state that is broken or contradicts the layout.
 */
export function openState(layout: Layout): { readonly founded: boolean; readonly foundedAt: string } {
  const file = join(layout.directory, "cluster.json");
  if (!existsSync(file)) {
    if (existsSync(layout.persistDirectory)) {
      throw new Problem(
        `The state in ${layout.directory} has lost its cluster.json, so nobody can tell whose it is: ${wayOut(layout)}.`,
      );
    }
    const foundedAt = new Date().toISOString();
    const text = JSON.stringify({
      v: CLUSTER_VERSION,
      cluster_id: layout.clusterId,
      replicas: layout.replicas,
      founded_at: foundedAt,
    });
    writeFileSync(`${file}.new`, `${text}\n`);
    renameSync(`${file}.new`, file);
    return { founded: true, foundedAt };
  }
  let parsed: z.output<typeof clusterSchema>;
  try {
    parsed = clusterSchema.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch {
    throw new Problem(`${file} cannot be read as the description of a cluster: ${wayOut(layout)}.`);
  }
  if (parsed.v !== CLUSTER_VERSION) {
    throw new Problem(
      `${file} has version ${parsed.v}, and this Troika reads version ${CLUSTER_VERSION}: use the Troika that wrote it, or ${wayOut(layout)}.`,
    );
  }
  if (parsed.replicas !== layout.replicas || parsed.cluster_id !== layout.clusterId) {
    throw new Problem(
      `${layout.directory} holds the state of cluster ${parsed.cluster_id} with ${parsed.replicas} replicas, ` +
        `not of ${layout.clusterId} with ${layout.replicas}: ${wayOut(layout)}.`,
    );
  }
  if (existsSync(layout.persistDirectory) && !statSync(layout.persistDirectory).isDirectory()) {
    throw new Problem(`${layout.persistDirectory} is not a directory: ${wayOut(layout)}.`);
  }
  return { founded: false, foundedAt: parsed.founded_at };
}
