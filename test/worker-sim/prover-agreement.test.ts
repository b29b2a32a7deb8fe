// Our verifier against snarkjs on many ways to touch a real proof. It may be stricter, never more lenient:
// whatever it accepts, snarkjs accepts. That it accepts anything at all is shown by re-randomised proofs, which are valid.

import { bn254 } from "@noble/curves/bn254.js";
import { groth16 } from "snarkjs";
import { beforeAll, describe, expect, test } from "vitest";
import { FIELD_ORDER } from "../../src/proofs/field.ts";
import { groth16Verifier, type VerifyingKey } from "../../src/proofs/groth16.ts";
import { parseG2, parseProof } from "../../src/proofs/groth16-proof.ts";
import { circuits } from "../../src/proofs/index.ts";
import { merkleFixture, type SnarkjsProof } from "../proofs/fixture.ts";
import { type Random, seeded } from "../proofs/random.ts";
import { startSnarkjs } from "./snarkjs.ts";

const key = circuits.get("merkle")?.verifying_key as VerifyingKey;
const ours = groth16Verifier(key);
const { proof, public_inputs } = merkleFixture();

type Submission = { readonly proof: SnarkjsProof; readonly signals: readonly string[] };
const original: Submission = { proof, signals: public_inputs };

/** snarkjs throws for some of what it refuses. */
async function snarkjsAccepts({ proof, signals }: Submission): Promise<boolean> {
  return groth16.verify(key, signals, proof).catch(() => false);
}

beforeAll(startSnarkjs);

const scalar = (random: Random) => 1n + random.bigBelow(FIELD_ORDER - 1n);

function g1Text(point: ReturnType<typeof parseProof>["a"]): string[] {
  const { x, y } = point.toAffine();
  return [x.toString(), y.toString(), "1"];
}

function g2Text(point: ReturnType<typeof parseProof>["b"]): string[][] {
  const { x, y } = point.toAffine();
  return [
    [x.c0.toString(), x.c1.toString()],
    [y.c0.toString(), y.c1.toString()],
    ["1", "0"],
  ];
}

/** Another proof of the same statement, which anybody who has one can make. */
function rerandomised(random: Random): Submission {
  const { a, b, c } = parseProof(proof);
  const [r, s] = [scalar(random), scalar(random)];
  const inverse = bn254.fields.Fr.inv(r);
  // e(rA, B/r + s·delta) = e(A, B)·e(rA, s·delta) = e(A, B)·e(rs·A, delta), and C + rs·A takes it back.
  const delta = parseG2(key.vk_delta_2, "delta");
  const randomised = {
    ...proof,
    pi_a: g1Text(a.multiply(r)),
    pi_b: g2Text(b.multiply(inverse).add(delta.multiply(s))),
    pi_c: g1Text(c.add(a.multiply(bn254.fields.Fr.mul(r, s)))),
  };
  return { proof: randomised, signals: public_inputs };
}

type Mutation = (random: Random) => Submission;

const onCoordinate =
  (change: (coordinate: bigint, random: Random) => string): Mutation =>
  (random) => {
    const changed = {
      pi_a: [...proof.pi_a],
      pi_b: proof.pi_b.map((pair) => [...pair]),
      pi_c: [...proof.pi_c],
    };
    const list = random.pick([changed.pi_a, changed.pi_c, ...changed.pi_b]);
    const index = random.below(list.length);
    list[index] = change(BigInt(list[index] ?? "0"), random);
    return { proof: { ...proof, ...changed }, signals: public_inputs };
  };

const onSignal =
  (change: (signal: bigint, random: Random) => string): Mutation =>
  (random) => {
    const index = random.below(public_inputs.length);
    const signals = public_inputs.map((signal, i) => (i === index ? change(BigInt(signal), random) : signal));
    return { proof, signals };
  };

const P = bn254.fields.Fp.ORDER;
const notations = (order: bigint) => [
  (value: bigint) => `0${value}`,
  (value: bigint) => `0x${value.toString(16)}`,
  (value: bigint) => (value + order).toString(),
];

const mutations: Readonly<Record<string, Mutation>> = {
  "re-randomised": rerandomised,
  "one bit of a coordinate": onCoordinate((c, random) => (c ^ (1n << BigInt(random.below(254)))).toString()),
  "a coordinate negated": onCoordinate((c) => ((P - c) % P).toString()),
  "a random coordinate": onCoordinate((_, random) => random.bigBelow(P).toString()),
  "a coordinate written otherwise": onCoordinate((c, random) => random.pick(notations(P))(c)),
  "one bit of a signal": onSignal((s, random) => (s ^ (1n << BigInt(random.below(254)))).toString()),
  "a signal written otherwise": onSignal((s, random) => random.pick(notations(FIELD_ORDER))(s)),
  "a signal of 0": onSignal(() => "0"),
  "signals cut short": (random) => ({ proof, signals: public_inputs.slice(0, random.below(3)) }),
  "signals exchanged": () => ({ proof, signals: public_inputs.toReversed() }),
  "valid points of another proof": (random) => {
    const other = rerandomised(random).proof;
    const [pi_a, pi_b, pi_c] = random.pick([
      [other.pi_a, proof.pi_b, proof.pi_c],
      [proof.pi_a, other.pi_b, proof.pi_c],
      [proof.pi_a, proof.pi_b, other.pi_c],
    ] as const);
    return { proof: { ...proof, pi_a, pi_b, pi_c }, signals: public_inputs };
  },
};

describe("whatever our verifier accepts, snarkjs accepts", () => {
  test.each(Object.entries(mutations))(
    "%s",
    async (name, mutate) => {
      let accepted = 0;
      const rounds = 12;
      for (let seed = 0; seed < rounds; seed++) {
        const submission = mutate(seeded(seed));
        if (!ours(submission.proof, submission.signals).valid) continue;
        accepted++;
        expect(await snarkjsAccepts(submission), `${name}, seed ${seed}`).toBe(true);
      }
      // What is touched is refused; what is only re-randomised is a proof as good as the first.
      expect(accepted).toBe(name === "re-randomised" ? rounds : 0);
    },
    30_000,
  );
});

describe("where snarkjs is lenient, we are not", () => {
  const { pi_a } = proof;

  test.each<[string, Submission]>([
    [
      "a coordinate with a leading zero",
      { ...original, proof: { ...proof, pi_a: [`0${pi_a[0]}`, `${pi_a[1]}`, "1"] } },
    ],
    [
      "a coordinate plus p",
      { ...original, proof: { ...proof, pi_a: [`${BigInt(pi_a[0] ?? 0) + P}`, `${pi_a[1]}`, "1"] } },
    ],
    ["a signal with a leading zero", { ...original, signals: public_inputs.map((signal) => `0${signal}`) }],
    ["a field that no proof has", { ...original, proof: { ...proof, note: "x" } as SnarkjsProof }],
  ])("%s: snarkjs takes it, we refuse it", async (_, submission) => {
    expect(await snarkjsAccepts(submission)).toBe(true);
    expect(ours(submission.proof, submission.signals).valid).toBe(false);
  });
});
