// `node worker-sim/poseidon.ts` writes the module that Poseidon's arithmetic runs in. It is committed; a test compares.

import { writeFileSync } from "node:fs";
import { assemble } from "../src/proofs/poseidon/assemble.ts";

const file = new URL("../src/proofs/poseidon/poseidon.wasm", import.meta.url);
writeFileSync(file, assemble());
