// Poseidon with circomlib's constants, for one, two and five inputs: in WebAssembly where a module was installed, otherwise by
// poseidon-lite. The results are equal and a test says so; the first is several times as fast.

import { poseidon1 as lite1 } from "poseidon-lite/poseidon1";
import { poseidon2 as lite2 } from "poseidon-lite/poseidon2";
import { poseidon5 as lite5 } from "poseidon-lite/poseidon5";
import { FIELD_ORDER } from "../field.ts";
import { ELEMENT, FIXED, FULL_ROUNDS, LIMB_BITS, LIMBS, SCRATCH, WIDTHS, type Width } from "./layout.ts";

export type Hash = (inputs: readonly bigint[]) => bigint;

/** A compiled WebAssembly module: the runtimes' types have no name for it in common. */
export type WasmModule = object;

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly sumOfProducts: SumOfProducts;
}

const { WebAssembly: wasm } = globalThis as unknown as {
  readonly WebAssembly: {
    readonly Module: new (bytes: Uint8Array) => WasmModule;
    readonly Instance: new (module: WasmModule, imports: object) => { readonly exports: Exports };
  };
};

/** Not in workerd, which makes no code out of bytes. */
export function compiled(bytes: Uint8Array): WasmModule {
  return new wasm.Module(bytes);
}

type SumOfProducts = (out: number, a: number, b: number, count: number, one: number, another: number) => void;

const WORDS = 8;
const LIMB_MASK = 2 ** LIMB_BITS - 1;

/** One hash function for each width of the module, by the number of its inputs. */
export function hashesOf(module: WasmModule): ReadonlyMap<number, Hash> {
  const { memory: own, sumOfProducts: sum } = new wasm.Instance(module, {}).exports;
  const memory = new Uint32Array(own.buffer);
  const words = new Uint32Array(WORDS + 1);
  const bigWords = new BigUint64Array(words.buffer, 0, WORDS / 2);

  function write(address: number, value: bigint): void {
    for (let i = 0; i < WORDS / 2; i++) bigWords[i] = value >> BigInt(64 * i);
    for (let i = 0; i < LIMBS; i++) {
      const [word, shift] = [(i * LIMB_BITS) >> 5, (i * LIMB_BITS) & 31];
      const low = (words[word] ?? 0) >>> shift;
      const high = shift === 0 ? 0 : (words[word + 1] ?? 0) << (32 - shift);
      memory[address / 4 + i] = (low | high) & LIMB_MASK;
    }
  }

  function read(address: number): bigint {
    let value = 0n;
    for (let i = LIMBS - 1; i >= 0; i--)
      value = (value << BigInt(LIMB_BITS)) | BigInt(memory[address / 4 + i] ?? 0);
    return value >= FIELD_ORDER ? value - FIELD_ORDER : value;
  }

  function hash({ width, partial, at }: Width, inputs: readonly bigint[]): bigint {
    const { zero, one, intoForm } = FIXED;
    let state = SCRATCH;
    let next = SCRATCH + width * ELEMENT;
    const power = SCRATCH + 2 * width * ELEMENT;
    const others = (width - 1) * ELEMENT;

    /** x := x^5 */
    const substitute = (x: number) => {
      sum(power, x, x, 1, zero, zero);
      sum(power, power, power, 1, zero, zero);
      sum(x, power, x, 1, zero, zero);
    };
    /** S-boxes and matrix, and what is added before the next round's S-boxes: elements from `constants` on, or only the first. */
    const fullRound = (constants: number, lanes: number) => {
      for (let i = 0; i < width; i++) substitute(state + i * ELEMENT);
      for (let i = 0; i < width; i++) {
        const constant = i < lanes ? constants + i * ELEMENT : zero;
        sum(next + i * ELEMENT, at.matrix + i * width * ELEMENT, state, width, constant, zero);
      }
      [state, next] = [next, state];
    };
    const constantsOf = (round: number) => at.fullConstants + round * width * ELEMENT;
    const half = FULL_ROUNDS / 2;

    for (let i = 0; i < width; i++) {
      write(next, inputs[i - 1] ?? 0n);
      sum(state + i * ELEMENT, next, intoForm, 1, at.fullConstants + i * ELEMENT, zero);
    }
    for (let round = 1; round < half; round++) fullRound(constantsOf(round), width);
    fullRound(at.partialConstants, 1);

    for (let round = 0; round < partial; round++) {
      substitute(state);
      // Lane 0 is kept for the others, which its new value is made of.
      const following = round + 1 < partial ? at.partialConstants + (round + 1) * ELEMENT : zero;
      sum(next, at.rows + round * others, state + ELEMENT, width - 1, state, following);
      for (let i = 1; i < width; i++) {
        const lane = state + i * ELEMENT;
        sum(lane, at.columns + round * others + (i - 1) * ELEMENT, state, 1, lane, zero);
      }
      memory.copyWithin(state / 4, next / 4, next / 4 + LIMBS);
    }
    sum(next, at.scale, state, 1, constantsOf(half), zero);
    for (let i = 1; i < width; i++) {
      const row = at.others + (i - 1) * others;
      sum(next + i * ELEMENT, row, state + ELEMENT, width - 1, constantsOf(half) + i * ELEMENT, zero);
    }
    [state, next] = [next, state];
    for (let round = half + 1; round < FULL_ROUNDS; round++) fullRound(constantsOf(round), width);
    fullRound(zero, 0);
    sum(next, state, one, 1, zero, zero);
    return read(next);
  }

  return new Map(WIDTHS.map((width) => [width.width - 1, (inputs) => hash(width, inputs)]));
}

const lite: ReadonlyMap<number, Hash> = new Map([
  [1, (inputs) => lite1([...inputs])],
  [2, (inputs) => lite2([...inputs])],
  [5, (inputs) => lite5([...inputs])],
]);
let hashes = lite;

/** From now on in WebAssembly. How a module is had depends on the runtime, so it comes from the entry. */
export function installPoseidon(module: WasmModule): void {
  hashes = hashesOf(module);
}

/** Inputs are elements of the field, as many as there is a width for. */
export function poseidon(inputs: readonly bigint[]): bigint {
  const hash = hashes.get(inputs.length);
  if (hash === undefined) throw new Error(`no Poseidon of ${inputs.length} inputs`);
  return hash(inputs);
}
