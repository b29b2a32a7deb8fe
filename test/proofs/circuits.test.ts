// What every circuit owes: an input that is read strictly and in one spelling only, a statement that binds the proof to one
// task, and messages that never show what is secret. Proofs themselves are in test/worker-sim and test/cluster.

import { describe, expect, test } from "vitest";
import { z } from "zod";
import { validate } from "../../src/api/validation.ts";
import { identityCommitment, SUBGROUP_ORDER } from "../../src/proofs/baby-jubjub.ts";
import { taskContext } from "../../src/proofs/context.ts";
import { FIELD_ORDER } from "../../src/proofs/field.ts";
import { atOnce, type Circuit, circuits, newBlinding } from "../../src/proofs/index.ts";
import { issued } from "./issuer.ts";
import { type Input, sampleOf } from "./samples.ts";

const TASK = "00000000-0000-4000-8000-000000000001";

function circuitOf(name: string): Circuit {
  const circuit = circuits.get(name);
  if (circuit === undefined) throw new Error(`no circuit ${name}`);
  return circuit;
}

function signalsOf(name: string, input: unknown, task_id = TASK): readonly string[] {
  const circuit = circuitOf(name);
  const canonical = circuit.canonical(input);
  return atOnce(circuit.statement({ task_id, input: canonical, blinding: newBlinding() })).public_inputs;
}

/** The sentences of a refusal; none where the input is taken. */
function complaints(name: string, input: unknown): readonly string[] {
  const result = validate(circuitOf(name).input, input);
  return result.ok ? [] : (result.problem.errors ?? []).map(({ detail }) => detail);
}

describe.each([...circuits.keys()])("%s", (name) => {
  const circuit = circuitOf(name);

  test("takes its sample, and what is canonical is canonical again", () => {
    const input = sampleOf(name);
    expect(complaints(name, input)).toEqual([]);
    const canonical = circuit.canonical(input);
    expect(JSON.stringify(circuit.canonical(canonical))).toBe(JSON.stringify(canonical));
    const reversed = Object.fromEntries(Object.entries(input).reverse());
    expect(JSON.stringify(circuit.canonical({ ...reversed, priority: 3 }))).toBe(JSON.stringify(canonical));
    expect(atOnce(circuit.contradiction(canonical))).toBeUndefined();
  });

  test("states as many canonical signals as it describes, and others for another task", () => {
    const input = sampleOf(name);
    const signals = signalsOf(name, input);
    expect(signals).toHaveLength(circuit.signals.length);
    for (const signal of signals) {
      expect(BigInt(signal).toString()).toBe(signal);
      expect(BigInt(signal)).toBeLessThan(FIELD_ORDER);
    }
    expect(signalsOf(name, input, TASK.replace("1", "2"))).not.toEqual(signals);
    const place = circuit.signals.findIndex((signal) => signal.name === "context");
    if (place >= 0) expect(signals[place]).toBe(taskContext(name, circuit.vk_hash, TASK));
  });

  test("has a schema that says which fields there are, and a description of each signal", () => {
    const schema = z.toJSONSchema(circuit.input, { io: "input", unrepresentable: "any" });
    expect(Object.keys(schema.properties ?? {})).toEqual(expect.arrayContaining(Object.keys(sampleOf(name))));
    for (const signal of circuit.signals) expect(signal.meaning.length).toBeGreaterThan(10);
    expect(circuit.description).toMatch(/^[A-Z].*\.$/);
  });

  test("refuses what is no input, and says which field", () => {
    for (const wrong of [null, [], "x", 7, {}]) expect(complaints(name, wrong)).not.toEqual([]);
    for (const field of Object.keys(sampleOf(name))) {
      for (const wrong of [null, {}, 1.5, true]) {
        const found = complaints(name, { ...sampleOf(name), [field]: wrong });
        expect(found.join(), `${field}: ${JSON.stringify(wrong)}`).toContain(field);
      }
    }
  });
});

/** The same input with another value at a place like `signature.r8.0`. */
function changed(input: Input, place: string, value: unknown): Input {
  const copy = structuredClone(input) as Record<string, unknown>;
  const steps = place.split(".");
  const last = steps.pop() ?? "";
  let holder = copy;
  for (const step of steps) holder = holder[step] as Record<string, unknown>;
  holder[last] = value;
  return copy;
}

const wrongNumbers = (bound: bigint): readonly unknown[] => [
  7,
  "",
  "-1",
  "+1",
  "01",
  "0x1",
  "1e3",
  "1 ",
  " 1",
  "1\n",
  "1.0",
  "١",
  bound.toString(),
  (bound + 1n).toString(),
  "9".repeat(10_000),
  null,
  ["1"],
];

describe("a number", () => {
  const cases: readonly (readonly [circuit: string, field: string, bound: bigint])[] = [
    ["preimage", "preimage.0", FIELD_ORDER],
    ["preimage", "preimage.1", FIELD_ORDER],
    ["credential", "issuer.0", FIELD_ORDER],
    ["credential", "signature.r8.1", FIELD_ORDER],
    ["credential", "signature.s", SUBGROUP_ORDER],
    ["credential", "secret", FIELD_ORDER],
    ["credential", "attribute", FIELD_ORDER],
    ["credential", "value", 2n ** 64n],
    ["credential", "threshold", 2n ** 64n],
    ["credential", "scope", FIELD_ORDER],
    ["semaphore", "secret", SUBGROUP_ORDER],
    ["semaphore", "merkle_proof.root", FIELD_ORDER],
    ["semaphore", "merkle_proof.siblings.2", FIELD_ORDER],
    ["semaphore", "scope", 2n ** 256n],
    ["range", "salt", FIELD_ORDER],
    ["range", "value", 2n ** 64n],
    ["range", "lo", 2n ** 64n],
    ["range", "hi", 2n ** 64n],
  ];

  test.each(cases)("of %s, %s, is a canonical decimal below its bound or refused", (name, field, bound) => {
    const given = (value: unknown) => changed(sampleOf(name), field, value);
    for (const wrong of wrongNumbers(bound)) {
      const found = complaints(name, given(wrong));
      expect(found.join(), JSON.stringify(wrong)).toContain("must be a decimal number below");
      for (const detail of found) expect(detail.length).toBeLessThan(250);
    }
    const largest = complaints(name, given((bound - 1n).toString()));
    expect(largest.filter((detail) => detail.includes("must be a decimal number"))).toEqual([]);
  });
});

describe("range", () => {
  const range = (value: string, lo: string, hi: string) => ({ value, salt: "5", lo, hi });

  test("takes both ends and refuses what lies beside them, without showing the number", () => {
    for (const value of ["10", "11", "12"]) expect(complaints("range", range(value, "10", "12"))).toEqual([]);
    for (const value of ["9", "13", "0"]) {
      expect(complaints("range", range(value, "10", "12"))).toEqual(["value must lie between lo and hi"]);
    }
    expect(complaints("range", range("11", "12", "10"))).toEqual(["value must lie between lo and hi"]);
  });

  test("commits to the number exactly as preimage does, so that one opens the other", () => {
    const [commitment, lo, hi] = signalsOf("range", range("11", "10", "12"));
    expect([lo, hi]).toEqual(["10", "12"]);
    expect(signalsOf("preimage", { preimage: ["11", "5"] })[0]).toBe(commitment);
  });
});

test("preimage takes two numbers, neither fewer nor more", () => {
  for (const preimage of [[], ["1"], ["1", "2", "3"], "12", { 0: "1", 1: "2", length: 2 }]) {
    expect(complaints("preimage", { preimage })).toEqual([
      "preimage must be a list of two decimal numbers in strings",
    ]);
  }
});

/** What the schema takes although no proof of it exists, as the sentence that a client reads. */
function contradictionIn(name: string, input: Input): string | undefined {
  expect(complaints(name, input)).toEqual([]);
  const circuit = circuitOf(name);
  const found = atOnce(circuit.contradiction(circuit.canonical(input)));
  return found === undefined ? undefined : `${found.field} ${found.detail}`;
}

describe("credential", () => {
  const sample = sampleOf("credential");

  test.each<[string, string]>([
    ["secret", "8"],
    ["attribute", "2"],
    ["value", "22"],
    ["signature.s", "9"],
    ["signature.r8.0", "1"],
    ["issuer", ""],
  ])("with another %s than was signed is refused", (place, value) => {
    const other = issued({ key: 4712n, secret: 1n, attribute: 1n, value: 21n }).issuer;
    const wrong = changed(sample, place, place === "issuer" ? other : value);
    expect(contradictionIn("credential", wrong)).toBe(
      "signature is not the issuer's over this secret, attribute and value",
    );
  });

  test("of an issuer that is no public key is refused", () => {
    // Off the curve, the neutral point, and the point of order 2.
    for (const issuer of [
      ["1", "2"],
      ["0", "1"],
      ["0", (FIELD_ORDER - 1n).toString()],
    ]) {
      expect(contradictionIn("credential", changed(sample, "issuer", issuer))).toBe(
        "issuer is not a public key: no point of Baby Jubjub's subgroup",
      );
    }
  });

  test("of a value below the threshold is refused, and at it is taken", () => {
    const { threshold: _, ...rest } = sample;
    expect(complaints("credential", { ...rest, threshold: "22" })).toEqual([
      "value must not be below threshold",
    ]);
    expect(contradictionIn("credential", { ...rest, threshold: "21" })).toBeUndefined();
  });

  test("gives a holder one nullifier for a scope, another for another, and others another", () => {
    const [nullifier] = signalsOf("credential", sample);
    expect(signalsOf("credential", { ...sample, threshold: "1" }, TASK.replace("1", "2"))[0]).toBe(nullifier);
    expect(signalsOf("credential", { ...sample, scope: "8" })[0]).not.toBe(nullifier);
    expect(signalsOf("credential", sampleOf("credential"))[0]).not.toBe(nullifier);
  });
});

describe("semaphore", () => {
  const sample = sampleOf("semaphore");

  test.each<[string, unknown]>([
    ["secret", "5"],
    ["merkle_proof.root", "5"],
    ["merkle_proof.index", 4],
    ["merkle_proof.siblings.1", "5"],
    ["merkle_proof.siblings", ["11", "12", "13", "0"]],
  ])("with another %s is refused: the path does not lead there", (place, value) => {
    expect(contradictionIn("semaphore", changed(sample, place, value))).toBe(
      "merkle_proof does not lead from the identity of this secret to the root",
    );
  });

  test("an identity alone is a group, whose root is its commitment", () => {
    const secret = 12345n;
    const merkle_proof = { root: String(identityCommitment(secret)), index: 0, siblings: [] };
    expect(contradictionIn("semaphore", { ...sample, secret: String(secret), merkle_proof })).toBeUndefined();
  });

  test("refuses an index behind the path, a path that is too deep, a secret of 0 and a long message", () => {
    const place = (index: unknown) => complaints("semaphore", changed(sample, "merkle_proof.index", index));
    for (const index of [8, -1, 1.5, "5", 2 ** 53]) {
      expect(place(index), String(index)).toEqual([
        "merkle_proof.index must be a whole number below 2^(number of siblings)",
      ]);
    }
    const deep = changed(sample, "merkle_proof.siblings", Array(21).fill("1"));
    expect(complaints("semaphore", deep)).toEqual([
      "merkle_proof.siblings must be a list of at most 20 decimal numbers in strings",
    ]);
    expect(complaints("semaphore", { ...sample, secret: "0" })).toEqual(["secret must not be 0"]);
    expect(complaints("semaphore", { ...sample, message: "ä".repeat(500) })).toEqual([]);
    expect(complaints("semaphore", { ...sample, message: `${"ä".repeat(500)}x` })).toEqual([
      "message must have at most 1000 bytes",
    ]);
  });

  test("a member has one nullifier for a scope, whatever the message and the task", () => {
    const [root, nullifier, message] = signalsOf("semaphore", sample);
    const other = signalsOf("semaphore", { ...sample, message: "no" });
    expect(other.slice(0, 2)).toEqual([root, nullifier]);
    expect(other[2]).not.toBe(message);
    expect(signalsOf("semaphore", { ...sample, scope: "43" })[1]).not.toBe(nullifier);
    const again = signalsOf("semaphore", sample, TASK.replace("1", "2"));
    expect([again[1], again[2] === message]).toEqual([nullifier, false]);
  });
});
