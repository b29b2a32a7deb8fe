/** Reading flags. Whatever is wrong with them is one sentence. */
import { type ParseArgsOptionsConfig, parseArgs } from "node:util";
import { REPLICA_COUNTS, type ReplicaCount } from "./cluster/layout.ts";
import { UsageProblem } from "./cluster/problem.ts";

/** Which local cluster is meant. */
export interface ClusterChoice {
  /** Of several running ones. */
  readonly replicas: ReplicaCount | undefined;
  /** Directory of the state of all local clusters; `.troika` in the project if absent. */
  readonly state: string | undefined;
}

export const CHOICE_OPTIONS = {
  replicas: { type: "string" },
  state: { type: "string" },
} as const satisfies ParseArgsOptionsConfig;

export function wholeNumber(
  flag: string,
  text: string | undefined,
  min: number,
  max: number,
  otherwise: number,
): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new UsageProblem(`--${flag} is "${text}", but it must be a whole number from ${min} to ${max}.`);
}

export function replicaCount(text: string | undefined): ReplicaCount | undefined {
  if (text === undefined) return undefined;
  const found = REPLICA_COUNTS.find((count) => String(count) === text);
  if (found === undefined) throw new UsageProblem(`--replicas is "${text}", but it must be 1, 3, 5 or 7.`);
  return found;
}

export function required(value: string | undefined, what: string): string {
  if (value === undefined) throw new UsageProblem(`It must be said ${what}.`);
  return value;
}

export function parsed<const Options extends ParseArgsOptionsConfig>(
  args: readonly string[],
  options: Options,
  positionals: number,
) {
  let result: ReturnType<typeof parseArgs<{ options: Options; allowPositionals: true; allowNegative: true }>>;
  try {
    result = parseArgs({ args: [...args], options, allowPositionals: true, allowNegative: true });
  } catch (error) {
    // Node explains at length how to write an argument that begins with a dash; its first sentence says what is wrong.
    const [sentence] = (error instanceof Error ? error.message : String(error)).split(/\. |\n/);
    throw new UsageProblem(`${sentence?.replace(/\.$/, "")}.`);
  }
  const extra = result.positionals[positionals];
  if (extra !== undefined) throw new UsageProblem(`"${extra}" is one argument too many.`);
  return result;
}

export function choice(values: { readonly replicas?: string; readonly state?: string }): ClusterChoice {
  return { replicas: replicaCount(values.replicas), state: values.state };
}
