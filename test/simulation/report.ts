/** A violation as a person wants to read it: what, where, what led to it, and how to see it again. */
import { type Scenario, STEPS, type Trouble } from "./scenario.ts";
import { type Result, simulate } from "./simulation.ts";

const LINES = 60;

/** The options of `npm run simulate` that run this scenario. */
export function argumentsOf({ seed, luck, steps, only, without, bug, effectsOnly }: Scenario): string {
  return [
    ...(bug === undefined ? [] : [`--bug ${bug}`]),
    ...(effectsOnly ? ["--effects-only"] : []),
    `--seed ${seed}`,
    ...(luck > 0 ? [`--luck ${luck}`] : []),
    ...(steps === STEPS ? [] : [`--steps ${steps}`]),
    ...(without.size > 0 ? [`--without ${[...without].join(",")}`] : []),
    ...(only === undefined ? [] : [`--only ${rangesOf(only)}`]),
  ].join(" ");
}

export function commandOf(scenario: Scenario): string {
  return `npm run simulate -- ${argumentsOf(scenario)}`;
}

/** What broke, where. */
export function verdictOf(
  { seed }: Scenario,
  { error, step, now }: NonNullable<Result["violation"]>,
): string {
  return `seed ${seed}, step ${step}, ${now.toFixed(2)} ms: "${error.invariant}" does not hold\n  ${error.message}`;
}

/** Runs the scenario once more to show the last lines of its transcript. */
export function reportOf(scenario: Scenario, { violation, hash }: Result): string {
  if (violation === undefined) return `seed ${scenario.seed}: no violation, transcript ${hash}`;
  const { concerned } = violation.error;
  const isConcerned = (line: string) => concerned.length === 0 || concerned.some((id) => line.includes(id));
  const transcript = simulate(scenario, { recording: true }).lines ?? [];
  const shortened = scenario.luck > 0 || scenario.only !== undefined || scenario.without.size > 0;
  const whole = { ...scenario, luck: 0, steps: STEPS, without: new Set<Trouble>() };
  return [
    verdictOf(scenario, violation),
    concerned.length === 0 ? "the last of what happened:" : `the last that concerns ${concerned.join(", ")}:`,
    ...transcript.filter(isConcerned).slice(-LINES),
    `to see it again:        ${commandOf(scenario)} --transcript`,
    ...(shortened ? [] : [`to see less of it:      ${commandOf(whole)} --minimize`]),
  ].join("\n");
}

/** `3-7,9` for 3, 4, 5, 6, 7 and 9. */
export function rangesOf(numbers: ReadonlySet<number>): string {
  const ranges: string[] = [];
  let start: number | undefined;
  for (const number of [...numbers].sort((a, b) => a - b)) {
    start ??= number;
    if (numbers.has(number + 1)) continue;
    ranges.push(start === number ? `${number}` : `${start}-${number}`);
    start = undefined;
  }
  return ranges.join(",");
}

export function numbersIn(ranges: string): Set<number> {
  const numbers = new Set<number>();
  for (const range of ranges.split(",").filter((text) => text !== "")) {
    const [from, to = from] = range.split("-").map(Number);
    if (from === undefined || to === undefined || !Number.isInteger(from) || !Number.isInteger(to)) {
      throw new Error(`"${range}" is not a number or a range of numbers`);
    }
    for (let number = from; number <= to; number += 1) numbers.add(number);
  }
  return numbers;
}
