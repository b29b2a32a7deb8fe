/** Finds the local cluster that a command is meant for, and a client for it. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import type { ReplicaCount } from "../cluster/layout.ts";
import { type Running, runningCluster } from "../cluster/lock.ts";
import { Problem } from "../cluster/problem.ts";

/** @throws {Problem} when none runs, or several do and `replicas` does not choose. */
export function requireRunning(stateRoot: string, replicas: ReplicaCount | undefined): Running {
  const names =
    replicas !== undefined ? [String(replicas)] : existsSync(stateRoot) ? readdirSync(stateRoot) : [];
  const running = names
    .map((name) => runningCluster(join(stateRoot, name)))
    .filter((found) => found !== undefined);
  const [only] = running;
  if (only === undefined) {
    const which = replicas === undefined ? "" : ` with --replicas ${replicas}`;
    throw new Problem(`No local cluster is running${which}: begin one with \`npm start\`.`);
  }
  if (running.length > 1) {
    throw new Problem(
      `Several local clusters are running: say which one with --replicas ${running.map(({ members }) => members.length).join(" or ")}.`,
    );
  }
  if (only.certificate !== undefined) {
    setDefaultCACertificates([...getCACertificates("default"), readFileSync(only.certificate, "utf8")]);
  }
  return only;
}
