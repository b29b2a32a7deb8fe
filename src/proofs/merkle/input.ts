// What a client submits for the merkle circuit. Any value of up to 32 bytes is a leaf; the bytes are what count.

import { z } from "zod";

export const LEAVES_MAX = 1000;

export type MerkleInput = {
  /** Canonical: "0x" and an even number of lower-case digits. */
  readonly leaves: readonly string[];
  readonly leaf_index: number;
};

const LEAF_PATTERN = /^(?:0[xX])?[0-9a-fA-F]{1,64}$/;

const leaf = z
  .string({ error: (issue) => `${named(issue.path)} must be a string of hex digits` })
  .regex(LEAF_PATTERN, { error: (issue) => `${named(issue.path)} ${leafProblem(String(issue.input))}` });

// The number of leaves is judged before any of them is looked at: a list of a million would give a million issues.
const leaves = z
  .array(z.unknown(), {
    error: (issue) => `${named(issue.path)} must be a list of 1 to ${LEAVES_MAX} hex strings`,
  })
  .min(1, { error: (issue) => `${named(issue.path)} must have at least one leaf` })
  .max(LEAVES_MAX, {
    error: (issue) =>
      `${named(issue.path)} has ${(issue.input as unknown[]).length} leaves, at most ${LEAVES_MAX} are allowed`,
  })
  .meta({ items: { type: "string", pattern: LEAF_PATTERN.source } })
  .pipe(z.array(leaf));

const leafIndex = z
  .number({ error: (issue) => `${named(issue.path)} must be a whole number, 0 for the first leaf` })
  .int({ error: (issue) => `${named(issue.path)} must be a whole number, 0 for the first leaf` })
  .min(0, { error: (issue) => `${named(issue.path)} must not be negative` });

export const merkleInput = z
  .object({ leaves, leaf_index: leafIndex.default(0) })
  .superRefine((input, context) => {
    if (input.leaves.length === 0 || input.leaf_index < input.leaves.length) return;
    const last = input.leaves.length - 1;
    context.addIssue({
      code: "custom",
      path: ["leaf_index"],
      message: `leaf_index ${input.leaf_index} is out of range: with ${input.leaves.length} leaves it can be 0 to ${last}`,
    });
  });

/** Defaults filled in and leaves canonical; the same again for what is canonical already. Throws for invalid input. */
export function parseMerkleInput(input: unknown): MerkleInput {
  const { leaves, leaf_index } = merkleInput.parse(input);
  return { leaves: leaves.map(canonicalLeaf), leaf_index };
}

function canonicalLeaf(leaf: string): string {
  const digits = leaf.toLowerCase().replace(/^0x/, "");
  return `0x${digits.length % 2 === 1 ? "0" : ""}${digits}`;
}

function leafProblem(leaf: string): string {
  const digits = leaf.replace(/^0[xX]/, "");
  if (/\.\.\.|…/.test(digits)) {
    return `is ${shown(leaf)}: the dots stand for digits that were left out, fill them in`;
  }
  if (digits === "") return "is empty: a leaf has 1 to 64 hex digits";
  const wrong = /[^0-9a-fA-F]/u.exec(digits)?.[0];
  if (wrong !== undefined) return `is ${shown(leaf)}: ${JSON.stringify(wrong)} is not a hex digit`;
  return `has ${digits.length} hex digits, a leaf has at most 64 (32 bytes)`;
}

function shown(leaf: string): string {
  return JSON.stringify(leaf.length > 80 ? `${leaf.slice(0, 80)}…` : leaf);
}

/** `leaves[3]`; the path within a larger document if the input is part of one. */
function named(path: readonly PropertyKey[] | undefined): string {
  return (path ?? [])
    .map((step, i) => (typeof step === "number" ? `[${step}]` : `${i === 0 ? "" : "."}${String(step)}`))
    .join("");
}
