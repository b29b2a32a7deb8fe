// Trees and tags against vectors from elsewhere and against a tree built without any shortcut.

import { poseidon1 } from "poseidon-lite/poseidon1";
import { poseidon2 } from "poseidon-lite/poseidon2";
import { poseidon5 } from "poseidon-lite/poseidon5";
import { describe, expect, test } from "vitest";
import { FIELD_ORDER, newBlinding } from "../../src/proofs/field.ts";
import { atOnce, circuits } from "../../src/proofs/index.ts";
import { DEPTH, leafTag, leafValue, merklePath } from "../../src/proofs/merkle/tree.ts";

const merkle = circuits.get("merkle");
if (merkle === undefined) throw new Error("no merkle circuit");

const leavesOf = (count: number) =>
  Array.from({ length: count }, (_, i) => `0x${(i + 1).toString(16).padStart(4, "0")}`);

/** All 1,024 places, all 1,023 inner nodes. */
function fullTreeRoot(leaves: readonly string[]): bigint {
  let nodes = Array.from({ length: 2 ** DEPTH }, (_, i) => {
    const leaf = leaves[i];
    return leaf === undefined ? 0n : poseidon1([leafValue(leaf)]);
  });
  while (nodes.length > 1) {
    nodes = Array.from({ length: nodes.length / 2 }, (_, i) => poseidon2(nodes.slice(2 * i, 2 * i + 2)));
  }
  const [root] = nodes;
  if (root === undefined) throw new Error("no root");
  return root;
}

function climb(value: bigint, index: number, siblings: readonly bigint[]): bigint {
  return siblings.reduce(
    (node, sibling, level) => poseidon2((index >> level) % 2 === 1 ? [sibling, node] : [node, sibling]),
    poseidon1([value]),
  );
}

describe("known vectors", () => {
  test("Poseidon is that of circomlib", () => {
    expect(poseidon1([1n])).toBe(
      18586133768512220936620570745912940619677854269274689475585506675881198879027n,
    );
    expect(poseidon2([1n, 2n])).toBe(
      7853200120776062878684798364095072458815029376092732009249414926327459813530n,
    );
    expect(poseidon5([1n, 2n, 0n, 0n, 0n])).toBe(
      1018317224307729531995786483840663576608797660851238720571059489595066344487n,
    );
  });

  test("empty subtrees are those that everybody builds from 0 with Poseidon", () => {
    expect(merklePath(["0x01"], 0).siblings).toEqual([
      0n,
      14744269619966411208579211824598458697587494354926760081771325075741142829156n,
      7423237065226347324353380772367382631490014989348495481811164164159255474657n,
      11286972368698509976183087595462810875513684078608517520839298933882497716792n,
      3607627140608796879659380071776844901612302623152076817094415224584923813162n,
      19712377064642672829441595136074946683621277828620209496774504837737984048981n,
      20775607673010627194014556968476266066927294572720319469184847051418138353016n,
      3396914609616007258851405644437304192397291162432396347162513310381425243293n,
      21551820661461729022865262380882070649935529853313286572328683688269863701601n,
      6573136701248752079028194407151022595060682063033565181951145966236778420039n,
    ]);
  });

  test("a leaf's value is the first 31 bytes of SHA-256 of its bytes", () => {
    // SHA-256 of "a" begins with these 31 bytes; the last one, bb, is dropped.
    expect(leafValue("0x61").toString(16)).toBe(
      "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48",
    );
  });
});

test("a statement of a thousand leaves can be interrupted every fifty hashes, and is the same then", () => {
  const task = {
    task_id: "t",
    input: { leaves: leavesOf(1_000), leaf_index: 7 },
    blinding: newBlinding(),
  };
  const steps = merkle.statement(task);
  let pauses = 0;
  let step = steps.next();
  for (; !step.done; step = steps.next()) pauses++;
  // A hash for each leaf, and one for each of the inner nodes above them: 500 + 250 + 125 + 63 + ….
  expect(pauses).toBeGreaterThanOrEqual(39);
  expect(pauses).toBeLessThanOrEqual(42);
  expect(step.value).toEqual(atOnce(merkle.statement(task)));
});

test("a statement of a few leaves is made in one step, one of more begins with a pause", () => {
  const pauseFirst = (count: number) =>
    !merkle
      .statement({ task_id: "t", input: { leaves: leavesOf(count), leaf_index: 0 }, blinding: "1" })
      .next().done;
  expect([1, 20, 21, 1_000].map(pauseFirst)).toEqual([false, false, true, true]);
});

describe("trees", () => {
  test.each([1, 2, 3, 5, 6, 9])(
    "with %i leaves, the path of every leaf leads to the root of the full tree",
    (count) => {
      const leaves = leavesOf(count);
      const root = fullTreeRoot(leaves);
      for (const [index, leaf] of leaves.entries()) {
        const path = merklePath(leaves, index);
        expect(path.root).toBe(root);
        expect(path.value).toBe(leafValue(leaf));
        expect(path.siblings).toHaveLength(DEPTH);
        expect(climb(path.value, index, path.siblings)).toBe(root);
      }
    },
  );

  test.each([256, 1000])("with %i leaves, the first, the last and others lead to the same root", (count) => {
    const leaves = leavesOf(count);
    for (const index of [0, 1, count / 2, count - 1]) {
      const { root, value, siblings } = merklePath(leaves, index);
      expect(climb(value, index, siblings)).toBe(root);
    }
  });

  test("bytes count: 0x01 and 0x0001 give different roots", () => {
    expect(merklePath(["0x01"], 0).root).not.toBe(merklePath(["0x0001"], 0).root);
  });

  test("there is no path to a leaf that is not there", () => {
    for (const index of [-1, 2, 0.5, Number.NaN])
      expect(() => merklePath(["0x01", "0x02"], index)).toThrow("no path");
    expect(() => merklePath([], 0)).toThrow("no path");
    expect(() => merklePath(Array(1025).fill("0x01"), 0)).toThrow("no path");
  });
});

describe("the statement of a task", () => {
  const input = merkle.canonical({ leaves: ["0x07", "0x07", "0x08"], leaf_index: 0 });
  const task = { task_id: "a", input, blinding: "12345" };
  const [root, tag, context] = atOnce(merkle.statement(task)).public_inputs;

  test("is root, tag and context, with the root in hex beside them", () => {
    const statement = atOnce(merkle.statement(task));
    expect(statement.public_inputs).toHaveLength(3);
    expect(statement.merkle_root).toMatch(/^0x[0-9a-f]{64}$/);
    expect(BigInt(statement.merkle_root ?? "").toString()).toBe(root);
    for (const signal of statement.public_inputs) expect(BigInt(signal)).toBeLessThan(FIELD_ORDER);
  });

  test("is the same when computed again, and takes its tag from leaf, place, blinding and context", () => {
    expect(atOnce(merkle.statement(task)).public_inputs).toEqual([root, tag, context]);
    expect(tag).toBe(
      leafTag({
        value: leafValue("0x07"),
        index: 0,
        blinding: 12345n,
        context: BigInt(context ?? ""),
      }).toString(),
    );
  });

  test("differs in the tag for an equal leaf at another place", () => {
    const other = atOnce(merkle.statement({ ...task, input: { ...input, leaf_index: 1 } })).public_inputs;
    expect(other[0]).toBe(root);
    expect(other[1]).not.toBe(tag);
    expect(other[2]).toBe(context);
  });

  test("differs in tag and context for another task, and in the tag for another blinding", () => {
    const otherTask = atOnce(merkle.statement({ ...task, task_id: "b" })).public_inputs;
    expect(otherTask[1]).not.toBe(tag);
    expect(otherTask[2]).not.toBe(context);
    const otherBlinding = atOnce(merkle.statement({ ...task, blinding: "12346" })).public_inputs;
    expect(otherBlinding).toEqual([root, expect.not.stringMatching(`^${tag}$`), context]);
  });
});

test("a blinding has 248 random bits, as a decimal", () => {
  const blindings = Array.from({ length: 200 }, newBlinding);
  expect(new Set(blindings).size).toBe(200);
  for (const blinding of blindings) {
    expect(blinding).toMatch(/^(0|[1-9][0-9]*)$/);
    expect(BigInt(blinding)).toBeLessThan(2n ** 248n);
  }
  // With 200 of them, all below 2^240 would be a chance of 2^-1600.
  expect(blindings.some((blinding) => BigInt(blinding) >= 2n ** 240n)).toBe(true);
});
