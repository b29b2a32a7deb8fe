// The door to main.ts, in JavaScript that old versions of Node read too, so that they get a sentence instead of a syntax error.
import { existsSync } from "node:fs";
import module from "node:module";

const NEEDED = [22, 18];
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
const installed = existsSync(new URL("../node_modules/wrangler/package.json", import.meta.url));

if (!installed) {
  console.error("troika: The packages that Troika needs are not installed: run `npm ci` first.");
  process.exitCode = 1;
} else if (major < NEEDED[0] || (major === NEEDED[0] && minor < NEEDED[1])) {
  console.error(
    `troika: This is Node ${process.versions.node}, and Troika needs ${NEEDED.join(".")} or newer: on Linux \`npm ci\` brings Node 24 along ` +
      "for `npm start`, unless optional packages were left out; elsewhere install Node 24 from nodejs.org.",
  );
  process.exitCode = 1;
} else {
  // Stripping the types and compiling is most of what a command costs: 1.7 s of CPU without, 0.8 s with it.
  module.enableCompileCache?.();
  await import("./main.ts");
}
