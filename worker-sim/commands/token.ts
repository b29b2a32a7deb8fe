/**
 * `token NAME ROLE`: a new bearer token, shown once, and its entry in the file that the deployment's secret is made of.
 * The file holds hashes alone.
 */
import { createHash, randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import type { Role, TokenEntry } from "../../src/api/configuration.ts";
import { ConfigurationError, parseConfiguration } from "../../src/api/configuration.ts";
import { Problem } from "../cluster/problem.ts";
import { printJson } from "./output.ts";

export const ROLES = ["submitter", "prover", "operator"] as const satisfies readonly Role[];

export interface TokenOptions {
  readonly name: string;
  readonly role: Role;
  readonly file: string;
  readonly json: boolean;
}

const TOKEN_BYTES = 32;
const SECRET = "TROIKA_TOKENS";

function secretsIn(file: string): Record<string, unknown> {
  if (!existsSync(file)) return {};
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new Problem(`${file} cannot be read: ${error instanceof Error ? error.message : String(error)}.`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new Problem(`${file} is no file of secrets: it must be a JSON object, {"${SECRET}": "…"}.`);
  return value as Record<string, unknown>;
}

/** As the coordinator would read it. @throws {Problem} */
function entriesOf(file: string, secrets: Record<string, unknown>): readonly TokenEntry[] {
  try {
    return parseConfiguration({ [SECRET]: secrets[SECRET] }).tokens ?? [];
  } catch (error) {
    if (error instanceof ConfigurationError) throw new Problem(`In ${file}: ${error.message}`);
    throw error;
  }
}

export function makeToken({ name, role, file, json }: TokenOptions): void {
  const secrets = secretsIn(file);
  const entries = entriesOf(file, secrets);
  if (entries.some((entry) => entry.name === name))
    throw new Problem(
      `${file} has a token ${name} already: choose another name, or take its entry out first.`,
    );
  const token = randomBytes(TOKEN_BYTES).toString("base64url");
  const sha256 = createHash("sha256").update(token).digest("hex");
  const updated = { ...secrets, [SECRET]: JSON.stringify([...entries, { name, role, sha256 }]) };
  entriesOf(file, updated);
  writeFileSync(file, `${JSON.stringify(updated, undefined, 2)}\n`, { mode: 0o600 });
  if (json) {
    printJson({ name, role, token, file });
    return;
  }
  console.log(token);
  console.error(`The token of ${name} (${role}) is shown this once; ${file} has its hash.`);
}
