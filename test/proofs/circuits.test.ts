// What every circuit owes: an input that is read strictly and in one spelling only, a statement that binds the proof to one
// task, and messages that never show what is secret. Proofs themselves are in test/worker-sim and test/cluster.

import { describe, expect, test } from "vitest";
import { z } from "zod";
import { validate } from "../../src/api/validation.ts";
import { taskContext } from "../../src/proofs/context.ts";
import { FIELD_ORDER } from "../../src/proofs/field.ts";
import { atOnce, type Circuit, circuits, newBlinding } from "../../src/proofs/index.ts";
import { sampleOf } from "./samples.ts";

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
      for (const wrong of [null, {}, "-1", "1e3", 1.5, true]) {
        const found = complaints(name, { ...sampleOf(name), [field]: wrong });
        expect(found.join(), `${field}: ${JSON.stringify(wrong)}`).toContain(field);
      }
    }
  });
});

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
    ["range", "salt", FIELD_ORDER],
    ["range", "value", 2n ** 64n],
    ["range", "lo", 2n ** 64n],
    ["range", "hi", 2n ** 64n],
  ];

  test.each(cases)("of %s, %s, is a canonical decimal below its bound or refused", (name, field, bound) => {
    const [key = "", index] = field.split(".");
    const given = (value: unknown) => {
      const sample = sampleOf(name);
      if (index === undefined) return { ...sample, [key]: value };
      const list = (sample[key] as readonly unknown[]).map((item, i) => (i === Number(index) ? value : item));
      return { ...sample, [key]: list };
    };
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
