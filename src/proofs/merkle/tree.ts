// The tree of the merkle circuit: ten levels of Poseidon over up to 1,024 leaves, missing ones zero. Coordinator and
// prover both compute from here, so they cannot disagree about what a root is.

import { hexToBytes } from "@noble/hashes/utils.js";
import { hashToField } from "../field.ts";
import { poseidon } from "../poseidon/poseidon.ts";
import { atOnce, type Steps } from "../steps.ts";

export const DEPTH = 10;
/** Between two pauses: some 4 ms of a core that is free, three times that of a busy one. */
const HASHES_PER_STEP = 50;

/** The version of the statement, the first input of every tag. */
const STATEMENT = 1n;

export interface Path {
  readonly root: bigint;
  /** Of the leaf that the path starts at. */
  readonly value: bigint;
  /** From the leaf's neighbour up. */
  readonly siblings: readonly bigint[];
}

/** What stands for a leaf in the circuit. Its bytes count: "0x01" and "0x0001" are two leaves. `leaf` is canonical. */
export function leafValue(leaf: string): bigint {
  return hashToField(hexToBytes(leaf.slice(2)));
}

/** The root over canonical `leaves`, at most 2^DEPTH of them, and the path to the one at `index`. */
export function merklePath(leaves: readonly string[], index: number): Path {
  return atOnce(merklePathSteps(leaves, index));
}

/** Begins with a pause if there will be any: many that come at once must not all begin at once. */
export function* merklePathSteps(leaves: readonly string[], index: number): Steps<Path> {
  const leaf = leaves[index];
  if (leaves.length > 2 ** DEPTH || leaf === undefined) {
    throw new Error(`no path to leaf ${index} in a tree of ${leaves.length} leaves`);
  }
  const value = leafValue(leaf);
  const zeros = zeroSubtrees();
  const siblings: bigint[] = [];
  const hashes: Hashes = { left: 2 * leaves.length + DEPTH > HASHES_PER_STEP ? 0 : HASHES_PER_STEP };
  let nodes = yield* hashed(hashes, leaves, (each) => poseidon([leafValue(each)]));
  let position = index;
  // Only the nodes that have a leaf below them are computed; to the right of them, everything is a zero subtree.
  for (const zero of zeros) {
    siblings.push(nodes[position ^ 1] ?? zero);
    nodes = yield* hashed(hashes, pairsOf(nodes, zero), (pair) => poseidon(pair));
    position >>= 1;
  }
  const [root] = nodes;
  if (root === undefined || nodes.length !== 1)
    throw new Error(`${nodes.length} roots over ${leaves.length} leaves`);
  return { root, value, siblings };
}

/** Commits to the leaf and its place, for one task. Nobody without `blinding` can test what it commits to. */
export function leafTag(leaf: {
  readonly value: bigint;
  readonly index: number;
  readonly blinding: bigint;
  readonly context: bigint;
}): bigint {
  return poseidon([STATEMENT, leaf.value, BigInt(leaf.index), leaf.blinding, leaf.context]);
}

interface Hashes {
  /** Until the next pause. */
  left: number;
}

function* hashed<Item>(
  hashes: Hashes,
  items: readonly Item[],
  hash: (item: Item) => bigint,
): Steps<bigint[]> {
  const values: bigint[] = [];
  for (const item of items) {
    if (hashes.left === 0) {
      yield;
      hashes.left = HASHES_PER_STEP;
    }
    hashes.left--;
    values.push(hash(item));
  }
  return values;
}

function pairsOf(nodes: readonly bigint[], zero: bigint): bigint[][] {
  const pairs: bigint[][] = [];
  for (let left = 0; left < nodes.length; left += 2) {
    pairs.push([nodes[left] ?? zero, nodes[left + 1] ?? zero]);
  }
  return pairs;
}

let zeroSubtreesMemo: readonly bigint[] | undefined;

/** `[level]` is the root of an empty subtree of that height: 0, then Poseidon2 of the one below with itself. */
function zeroSubtrees(): readonly bigint[] {
  if (zeroSubtreesMemo !== undefined) return zeroSubtreesMemo;
  const zeros = [0n];
  for (let level = 1; level < DEPTH; level++) {
    const below = zeros[level - 1] ?? 0n;
    zeros.push(poseidon([below, below]));
  }
  zeroSubtreesMemo = zeros;
  return zeros;
}
