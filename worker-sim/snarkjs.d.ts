// The part of snarkjs that Troika calls; the package ships no types of its own.
declare module "snarkjs" {
  /** A path, or a file in memory: `{type: "mem"}` to write to, the same with `data` to read from. */
  type File = string | Uint8Array | { type: "mem"; data?: Uint8Array };

  interface Curve {
    readonly name: string;
    terminate(): Promise<void>;
  }

  export const curves: {
    getCurveFromName(name: "bn128", options?: { singleThread?: boolean }): Promise<Curve>;
  };

  export const powersOfTau: {
    newAccumulator(curve: Curve, power: number, file: File): Promise<unknown>;
    contribute(from: File, to: File, name: string, entropy: string): Promise<unknown>;
    preparePhase2(from: File, to: File): Promise<unknown>;
    verify(file: File): Promise<boolean>;
  };

  export const zKey: {
    newZKey(r1cs: File, ptau: File, zkey: File): Promise<unknown>;
    contribute(from: File, to: File, name: string, entropy: string): Promise<unknown>;
    verifyFromR1cs(r1cs: File, ptau: File, zkey: File): Promise<boolean>;
    exportVerificationKey(zkey: File): Promise<Record<string, unknown>>;
  };

  export const wtns: {
    calculate(input: Record<string, unknown>, wasm: File, witness: File): Promise<void>;
  };

  export const groth16: {
    prove(zkey: File, witness: File): Promise<{ proof: Record<string, unknown>; publicSignals: string[] }>;
    verify(verifyingKey: unknown, publicSignals: unknown, proof: unknown): Promise<boolean>;
  };
}
