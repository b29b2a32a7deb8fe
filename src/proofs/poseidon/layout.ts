// Where in the module's memory the constants of each width are, and what they are: Poseidon over BN254 as in circomlib, 8 full
// rounds around `partial` ones. `assemble.ts` writes the memory, `poseidon.ts` reads it.

export const FULL_ROUNDS = 8;
/** Nine limbs of 29 bits, each in 4 bytes: a product of two fits 58 bits, and a column of 63 such products 64. */
export const LIMBS = 9;
export const LIMB_BITS = 29;
export const ELEMENT = 4 * LIMBS;

export const FIXED = {
  /** The number 0. */
  zero: 0,
  /** The number 1, which a multiplication by takes out of Montgomery's form. */
  one: ELEMENT,
  /** R² mod r, which a multiplication by brings into it. */
  intoForm: 2 * ELEMENT,
} as const;
const FIXED_ELEMENTS = 3;

export interface Width {
  /** Inputs and the one element of capacity. */
  readonly width: number;
  readonly partial: number;
  /** Addresses of consecutive elements. */
  readonly at: {
    /** By full round and lane: added before its S-boxes. */
    readonly fullConstants: number;
    /** By row and column. */
    readonly matrix: number;
    /** By partial round: added to lane 0 before its S-box. */
    readonly partialConstants: number;
    /** By partial round and lane from 1 on: what lane 0 takes from the others. */
    readonly rows: number;
    /** By partial round and lane from 1 on: what the others take from lane 0. */
    readonly columns: number;
    /** What brings lane 0, and the other lanes by row and column, back after the partial rounds. */
    readonly scale: number;
    readonly others: number;
  };
}

/** Elements in the order of the addresses above. */
export function sizes(width: number, partial: number): readonly number[] {
  const others = width - 1;
  return [
    FULL_ROUNDS * width,
    width * width,
    partial,
    partial * others,
    partial * others,
    1,
    others * others,
  ];
}

function widths(list: readonly (readonly [width: number, partial: number])[]): readonly Width[] {
  let address = FIXED_ELEMENTS * ELEMENT;
  return list.map(([width, partial]) => {
    const [
      fullConstants = 0,
      matrix = 0,
      partialConstants = 0,
      rows = 0,
      columns = 0,
      scale = 0,
      others = 0,
    ] = sizes(width, partial).map((elements) => {
      const here = address;
      address += elements * ELEMENT;
      return here;
    });
    const at = { fullConstants, matrix, partialConstants, rows, columns, scale, others };
    return { width, partial, at };
  });
}

/** For one, two and five inputs. */
export const WIDTHS = widths([
  [2, 56],
  [3, 57],
  [6, 60],
]);

/** Behind the constants. */
export const SCRATCH =
  ELEMENT *
  (FIXED_ELEMENTS +
    WIDTHS.reduce((sum, { width, partial }) => sum + sizes(width, partial).reduce((a, b) => a + b, 0), 0));
