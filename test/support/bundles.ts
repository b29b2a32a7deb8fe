/** Where the processes of one run of tests leave for each other what they have bundled. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";

/** Names the directory in the environment of the processes. */
export const BUNDLES = "TROIKA_TEST_BUNDLES";

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const directory = await mkdtemp(join(tmpdir(), "troika-bundles-"));
  process.env[BUNDLES] = directory;
  // In watch mode, when something was edited.
  project.onTestsRerun(() => rm(join(directory, "worker"), { recursive: true, force: true }));
  return () => rm(directory, { recursive: true, force: true });
}
