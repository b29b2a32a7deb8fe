// A seeded source of randomness: a test that fails says with which seed, and fails again with it.

export interface Random {
  /** Uniform in [0, bound). */
  below(bound: number): number;
  bigBelow(bound: bigint): bigint;
  pick<T>(choices: readonly T[]): T;
}

export function seeded(seed: number): Random {
  let state = seed >>> 0;
  // mulberry32
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (bound: number): number => Math.floor(next() * bound);
  return {
    below,
    bigBelow(bound) {
      let value = 0n;
      for (let word = 0; word < 10; word++) value = (value << 32n) | BigInt(below(2 ** 32));
      return value % bound;
    },
    pick(choices) {
      const choice = choices[below(choices.length)];
      if (choice === undefined) throw new Error("nothing to pick from");
      return choice;
    },
  };
}
