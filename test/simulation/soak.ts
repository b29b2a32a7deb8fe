/**
 * Many seeds: `npm run soak -- --from A --to B [--ledger FILE]`. What was done is written to the
 * ledger in pieces, with its figures, so a soak that was stopped goes on where it was, and several
 * ranges add up. One seed in a hundred runs twice, and must leave the same transcript. Exit code 1
 * if anything was violated.
 */
import { createHash } from "node:crypto";
import { appendFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { addFigures, type Figures, lineOf, noFigures, printFigures } from "./figures.ts";
import { reportOf } from "./report.ts";
import { scenarioOf } from "./scenario.ts";
import { simulate } from "./simulation.ts";

interface Piece {
  readonly from: number;
  readonly to: number;
  readonly figures: Figures;
  readonly violations: readonly number[];
  readonly twice: number;
  /** Of the transcripts of all its runs: the same as long as core and simulator do the same. */
  readonly digest: string;
}

const PIECE = 500;
const MOST_REPORTS = 10;
const REPORT_EVERY_MS = 10_000;

const { values } = parseArgs({
  options: {
    from: { type: "string", default: "1" },
    to: { type: "string", default: "1000" },
    ledger: { type: "string", default: ".troika/soak.jsonl" },
  },
});
const from = Number(values.from);
const to = Number(values.to);
if (!Number.isInteger(from) || !Number.isInteger(to) || from > to) {
  console.error("From which seed to which? npm run soak -- --from 1 --to 100000");
  process.exit(2);
}

const done = existsSync(values.ledger)
  ? readFileSync(values.ledger, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Piece)
  : [];
mkdirSync(dirname(values.ledger), { recursive: true });

const figures = noFigures();
const violations: number[] = [];
const digests = createHash("sha256");
let twice = 0;
let reports = 0;
let shownAt = Date.now();
const began = Date.now();
let ran = 0;

function count(piece: Piece): void {
  addFigures(figures, piece.figures);
  violations.push(...piece.violations);
  twice += piece.twice;
  digests.update(piece.digest);
}

function run(first: number, last: number): Piece {
  const sum = noFigures();
  const broken: number[] = [];
  const digest = createHash("sha256");
  let repeated = 0;
  for (let seed = first; seed <= last; seed += 1) {
    const scenario = scenarioOf(seed);
    const result = simulate(scenario);
    addFigures(sum, result.figures);
    digest.update(result.hash);
    ran += 1;
    if (result.violation !== undefined) {
      broken.push(seed);
      reports += 1;
      if (reports <= MOST_REPORTS) console.log(`\n${reportOf(scenario, result)}\n`);
    }
    if (seed % 100 === 0) {
      repeated += 1;
      const { hash } = simulate(scenario);
      if (hash !== result.hash) {
        broken.push(seed);
        console.log(`\nseed ${seed}: the same seed gave transcript ${result.hash}, then ${hash}\n`);
      }
    }
    if (Date.now() - shownAt > REPORT_EVERY_MS) {
      shownAt = Date.now();
      const rate = (1_000 * ran) / (shownAt - began);
      console.log(`seed ${seed} of ${to}, ${rate.toFixed(1)} seeds/s, ${reports} violations`);
    }
  }
  return {
    ...{ from: first, to: last, figures: sum, violations: broken, twice: repeated },
    digest: digest.digest("hex").slice(0, 16),
  };
}

for (let first = from; first <= to; ) {
  const known = done.find((piece) => piece.from === first && piece.to <= to);
  if (known !== undefined) {
    count(known);
    first = known.to + 1;
    continue;
  }
  const last = Math.min(to, (Math.floor((first - 1) / PIECE) + 1) * PIECE);
  const piece = run(first, last);
  appendFileSync(values.ledger, `${JSON.stringify(piece)}\n`);
  count(piece);
  first = last + 1;
}

console.log(`seeds ${from} to ${to}, ${ran} of them now, ${twice} run twice with the same transcript`);
console.log(printFigures(figures));
console.log(lineOf("violations", String(violations.length)));
console.log(`digest of all transcripts: ${digests.digest("hex").slice(0, 16)}`);
if (violations.length > 0) {
  console.log(`broken by seeds ${violations.slice(0, 50).join(", ")}`);
  process.exitCode = 1;
}
