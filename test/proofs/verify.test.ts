// What the verifier accepts and, above all, what it refuses: always with a reason, never with an exception. Uses one real
// proof that was made once; proofs made freshly are in test/worker-sim.

import { bn254 } from "@noble/curves/bn254.js";
import { describe, expect, test } from "vitest";
import { FIELD_ORDER } from "../../src/proofs/field.ts";
import { groth16Verifier, type VerifyingKey } from "../../src/proofs/groth16.ts";
import { atOnce, circuits } from "../../src/proofs/index.ts";
import { merkleFixture } from "./fixture.ts";
import { randomProof } from "./forged.ts";
import { seeded } from "./random.ts";

const circuit = circuits.get("merkle");
if (circuit === undefined) throw new Error("no merkle circuit");
const merkle = circuit;

const fixture = merkleFixture();
const { proof, public_inputs } = fixture;
const { Fp, Fp2 } = bn254.fields;
const P = Fp.ORDER;

/** Without the comparison with a task's own signals, so that it is the mathematics that refuses. */
const groth16 = groth16Verifier(merkle.verifying_key as VerifyingKey);

function refusal(verdict: ReturnType<typeof groth16>): string {
  expect(verdict.valid).toBe(false);
  const reason = verdict.valid ? "" : verdict.reason;
  expect(reason.length).toBeGreaterThan(10);
  return reason;
}

const at = (list: readonly string[], index: number): string => list[index] ?? "";
const replaced = <T>(list: readonly T[], index: number, value: unknown): unknown[] =>
  list.map((item, i) => (i === index ? value : item));

describe("acceptance", () => {
  test("a real proof of the task's own statement is accepted, again and again", () => {
    expect(atOnce(merkle.statement(fixture)).public_inputs).toEqual(public_inputs);
    for (let i = 0; i < 3; i++)
      expect(merkle.verify(proof, public_inputs, public_inputs)).toEqual({ valid: true });
  });

  test("protocol and curve may be left out", () => {
    const { pi_a, pi_b, pi_c } = proof;
    expect(merkle.verify({ pi_a, pi_b, pi_c }, public_inputs, public_inputs)).toEqual({ valid: true });
  });
});

describe("a proof of something else", () => {
  const otherStatement = (change: Partial<Parameters<typeof merkle.statement>[0]>) =>
    atOnce(merkle.statement({ ...fixture, ...change })).public_inputs;

  test.each([
    ["of another task", otherStatement({ task_id: "00000000-0000-4000-8000-000000000002" })],
    ["of another leaf", otherStatement({ input: { ...fixture.input, leaf_index: 1 } })],
    ["with another blinding", otherStatement({ blinding: "5" })],
    [
      "of an equal leaf at another place",
      otherStatement({ input: { leaves: ["0x0001", "0xabcdef", "0x0001"], leaf_index: 0 } }),
    ],
    [
      "under another root",
      otherStatement({ input: { ...fixture.input, leaves: ["0x01", "0xabcdef", "0x0001"] } }),
    ],
  ])("%s is refused, with its own signals and with those that were asked for", (_, expected) => {
    expect(expected).not.toEqual(public_inputs);
    expect(refusal(merkle.verify(proof, public_inputs, expected))).toMatch(
      /public input \d is not the task's/,
    );
    expect(refusal(merkle.verify(proof, expected, expected))).toBe("the pairing equation does not hold");
  });
});

describe("public signals", () => {
  test.each(public_inputs.map((_, i) => i))("signal %i plus the field's order is refused", (i) => {
    const shifted = replaced(public_inputs, i, (BigInt(at(public_inputs, i)) + FIELD_ORDER).toString());
    expect(refusal(merkle.verify(proof, shifted, public_inputs))).toBe(`public input ${i} is not the task's`);
    expect(refusal(groth16(proof, shifted))).toContain(`public signal ${i} is not a canonical decimal`);
  });

  test.each<[string, (signal: string) => unknown]>([
    ["with a leading zero", (signal) => `0${signal}`],
    ["in hexadecimal", (signal) => `0x${BigInt(signal).toString(16)}`],
    ["with a plus", (signal) => `+${signal}`],
    ["negative", (signal) => `-${signal}`],
    ["with a space", (signal) => `${signal} `],
    ["with a newline", (signal) => `${signal}\n`],
    ["as a number", (signal) => Number(signal)],
    ["as a bigint", (signal) => BigInt(signal)],
    ["in a list", (signal) => [signal]],
    ["null", () => null],
    ["one more", (signal) => (BigInt(signal) + 1n).toString()],
  ])("a signal %s is refused", (_, change) => {
    for (const [i, signal] of public_inputs.entries()) {
      const changed = replaced(public_inputs, i, change(signal));
      refusal(merkle.verify(proof, changed, public_inputs));
      refusal(groth16(proof, changed));
    }
  });

  test("too few, too many and no list at all are refused", () => {
    for (const signals of [
      [],
      public_inputs.slice(0, 2),
      [...public_inputs, "0"],
      undefined,
      null,
      {},
      "0",
      3,
    ]) {
      expect(refusal(merkle.verify(proof, signals, public_inputs))).toBe(
        "the public inputs are not a list of 3",
      );
      expect(refusal(groth16(proof, signals))).toBe("the public signals are not a list of 3");
    }
  });
});

describe("coordinates", () => {
  /** The same proof with one coordinate changed, for each of the eight. */
  function everyCoordinate(change: (coordinate: string) => unknown): unknown[] {
    const proofs: unknown[] = [];
    for (const i of [0, 1]) {
      for (const point of ["pi_a", "pi_c"] as const) {
        proofs.push({ ...proof, [point]: replaced(proof[point], i, change(at(proof[point], i))) });
      }
      const pair = proof.pi_b[i] ?? [];
      for (const j of [0, 1]) {
        proofs.push({ ...proof, pi_b: replaced(proof.pi_b, i, replaced(pair, j, change(at(pair, j)))) });
      }
    }
    expect(proofs).toHaveLength(8);
    return proofs;
  }

  test.each<[string, (coordinate: string) => unknown]>([
    ["plus p", (coordinate) => (BigInt(coordinate) + P).toString()],
    ["equal to p", () => P.toString()],
    ["with a leading zero", (coordinate) => `0${coordinate}`],
    ["in hexadecimal", (coordinate) => `0x${BigInt(coordinate).toString(16)}`],
    ["as a number", (coordinate) => Number(coordinate)],
    ["as a bigint", (coordinate) => BigInt(coordinate)],
    ["empty", () => ""],
    ["of a million digits", () => "1".repeat(1_000_000)],
  ])("a coordinate %s is not one", (_, change) => {
    for (const changed of everyCoordinate(change)) {
      expect(refusal(groth16(changed, public_inputs))).toContain(
        "is not a canonical decimal below the field's order",
      );
    }
  });

  test("a point with any one bit of it flipped is off the curve", () => {
    const random = seeded(1);
    for (let round = 0; round < 10; round++) {
      const bit = 1n << BigInt(random.below(253));
      for (const changed of everyCoordinate((coordinate) => (BigInt(coordinate) ^ bit).toString())) {
        expect(refusal(groth16(changed, public_inputs))).toMatch(
          /is not a point of the curve's subgroup|is not a canonical decimal/,
        );
      }
    }
  });

  test("infinity is refused however it is written", () => {
    for (const z of ["0", "1"]) {
      for (const [x, y] of [
        ["0", "0"],
        ["0", "1"],
      ] as const) {
        refusal(groth16({ ...proof, pi_a: [x, y, z] }, public_inputs));
        refusal(groth16({ ...proof, pi_c: [x, y, z] }, public_inputs));
        refusal(
          groth16(
            {
              ...proof,
              pi_b: [
                [x, "0"],
                [y, "0"],
                [z, "0"],
              ],
            },
            public_inputs,
          ),
        );
      }
    }
    expect(refusal(groth16({ ...proof, pi_a: ["0", "0", "1"] }, public_inputs))).toBe(
      "pi_a is the point at infinity",
    );
    expect(
      refusal(
        groth16(
          {
            ...proof,
            pi_b: [
              ["0", "0"],
              ["0", "0"],
              ["1", "0"],
            ],
          },
          public_inputs,
        ),
      ),
    ).toBe("pi_b is the point at infinity");
  });

  test("the same point with another z is refused", () => {
    const [x, y] = [BigInt(at(proof.pi_a, 0)), BigInt(at(proof.pi_a, 1))];
    const scaled = [Fp.mul(x, 4n), Fp.mul(y, 8n), 2n].map(String);
    expect(refusal(groth16({ ...proof, pi_a: scaled }, public_inputs))).toBe('pi_a[2] is not "1"');
    for (const z of ["2", "0", "01", 1, null, undefined]) {
      expect(refusal(groth16({ ...proof, pi_c: replaced(proof.pi_c, 2, z) }, public_inputs))).toBe(
        'pi_c[2] is not "1"',
      );
    }
    for (const z of [
      ["0", "1"],
      ["1", "1"],
      ["2", "0"],
      [1, 0],
    ]) {
      expect(refusal(groth16({ ...proof, pi_b: replaced(proof.pi_b, 2, z) }, public_inputs))).toBe(
        'pi_b[2] is not ["1","0"]',
      );
    }
  });

  test("a point of the twist outside the subgroup of prime order is refused", () => {
    const point = outsideSubgroup();
    const affine = point.toAffine();
    const pi_b = [affine.x, affine.y, Fp2.ONE].map(({ c0, c1 }) => [c0.toString(), c1.toString()]);
    expect(refusal(groth16({ ...proof, pi_b }, public_inputs))).toBe(
      "pi_b is not a point of the curve's subgroup",
    );
  });
});

/** On the curve (so that it is the subgroup that is tested), but r times it is not infinity. */
function outsideSubgroup() {
  const { a, b } = bn254.G2.Point.CURVE();
  expect(a).toEqual(Fp2.ZERO);
  for (let c0 = 1n; c0 < 100n; c0++) {
    const x = Fp2.fromBigTuple([c0, 1n]);
    const ySquared = Fp2.add(Fp2.mul(Fp2.sqr(x), x), b);
    let y: typeof x;
    try {
      y = Fp2.sqrt(ySquared);
    } catch {
      continue;
    }
    expect(Fp2.eql(Fp2.sqr(y), ySquared)).toBe(true);
    const point = bn254.G2.Point.fromAffine({ x, y });
    expect(point.isTorsionFree()).toBe(false);
    return point;
  }
  throw new Error("no point found");
}

describe("points that are valid but wrong", () => {
  const negated = (point: readonly string[]) => [at(point, 0), (P - BigInt(at(point, 1))).toString(), "1"];

  test.each<[string, unknown]>([
    ["A and C exchanged", { ...proof, pi_a: proof.pi_c, pi_c: proof.pi_a }],
    ["A negated", { ...proof, pi_a: negated(proof.pi_a) }],
    ["C negated", { ...proof, pi_c: negated(proof.pi_c) }],
    ["A the generator", { ...proof, pi_a: ["1", "2", "1"] }],
    [
      "points of the key",
      { pi_a: keyPoint("vk_alpha_1"), pi_b: keyPoint("vk_beta_2"), pi_c: keyPoint("vk_alpha_1") },
    ],
    ["a random multiple of each", randomProof(seeded(7))],
  ])("%s: the pairing equation does not hold", (_, wrong) => {
    expect(refusal(groth16(wrong, public_inputs))).toBe("the pairing equation does not hold");
  });
});

function keyPoint(name: "vk_alpha_1" | "vk_beta_2"): unknown {
  return (merkle.verifying_key as VerifyingKey)[name];
}

describe("what is not a proof", () => {
  test.each<[string, unknown]>([
    ["nothing", undefined],
    ["null", null],
    ["text", JSON.stringify(proof)],
    ["a number", 42],
    ["a list", [proof]],
    ["an empty object", {}],
    ["without C", { pi_a: proof.pi_a, pi_b: proof.pi_b }],
    ["with A cut short", { ...proof, pi_a: proof.pi_a.slice(0, 2) }],
    ["with A too long", { ...proof, pi_a: [...proof.pi_a, "0"] }],
    ["with B cut short", { ...proof, pi_b: proof.pi_b.slice(0, 2) }],
    ["with half of B's x", { ...proof, pi_b: replaced(proof.pi_b, 0, [at(proof.pi_b[0] ?? [], 0)]) }],
    ["with B a point of G1", { ...proof, pi_b: proof.pi_a }],
    ["with A a point of G2", { ...proof, pi_a: proof.pi_b }],
    ["with A an object", { ...proof, pi_a: { ...proof.pi_a } }],
    ["with coordinates cut short", { ...proof, pi_a: proof.pi_a.map((c) => c.slice(0, -1)) }],
    ["of another protocol", { ...proof, protocol: "plonk" }],
    ["on another curve", { ...proof, curve: "bls12381" }],
    ["with null as protocol", { ...proof, protocol: null }],
    ["with a field of its own", { ...proof, note: "x" }],
    ["with a prototype's field", JSON.parse(`{"__proto__":1,${JSON.stringify(proof).slice(1)}`)],
  ])("%s is refused", (_, shape) => {
    refusal(merkle.verify(shape, public_inputs, public_inputs));
    refusal(groth16(shape, public_inputs));
  });

  test("random JSON in place of any part is refused, and never throws", () => {
    for (let seed = 0; seed < 500; seed++) {
      const random = seeded(seed);
      const part = random.pick(["pi_a", "pi_b", "pi_c", "protocol", "curve"] as const);
      const changed = { ...proof, [part]: randomJson(random, 3) };
      expect(merkle.verify(changed, public_inputs, public_inputs).valid, `seed ${seed}`).toBe(false);
      const signals = randomJson(random, 3);
      expect(merkle.verify(proof, signals, public_inputs).valid, `seed ${seed}`).toBe(false);
    }
  });
});

function randomJson(random: ReturnType<typeof seeded>, depth: number): unknown {
  switch (random.below(depth === 0 ? 5 : 7)) {
    case 0:
      return null;
    case 1:
      return random.pick(["", "0", "1", "2", "groth17", "bn254", "NaN", "1e3", "__proto__", "٣"]);
    case 2:
      return random.below(10) - 5;
    case 3:
      return random.below(2) === 0;
    case 4:
      return random.bigBelow(P).toString();
    case 5:
      return Array.from({ length: random.below(5) }, () => randomJson(random, depth - 1));
    default:
      return { [random.pick(["0", "length", "x", "toString"])]: randomJson(random, depth - 1) };
  }
}

test("a key that is not one is a defect of ours, and is thrown", () => {
  const key = merkle.verifying_key as VerifyingKey;
  for (const broken of [
    { ...key, protocol: "plonk" },
    { ...key, nPublic: 2 },
    {
      ...key,
      vk_gamma_2: [
        ["0", "0"],
        ["0", "0"],
        ["1", "0"],
      ],
    },
  ]) {
    expect(() => groth16Verifier(broken)(proof, public_inputs)).toThrow();
  }
});
