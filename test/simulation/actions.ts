/**
 * What is done to a group while it runs: requests, faults and operators' work. Each action is drawn
 * from a stream of its own number, so leaving one out changes none of the others.
 */
import { drawn, type Stage } from "./deeds.ts";
import { FAULTS } from "./faults.ts";
import type { Host } from "./host.ts";
import { OVERTHROWS } from "./overthrows.ts";
import { Random, streamOf } from "./random.ts";
import type { Knobs, Scenario } from "./scenario.ts";
import { OPERATIONS, REQUESTS } from "./work.ts";

export interface Action {
  readonly number: number;
  readonly name: string;
  /** After the action before, in milliseconds. */
  readonly pause: number;
  readonly perform: (stage: Stage) => void;
}

/** The actions of a scenario, one after the other, without end if none are left out. */
export function* actionsOf({ seed, only, without }: Scenario, knobs: Knobs): Generator<Action> {
  const last = only === undefined ? Number.POSITIVE_INFINITY : Math.max(...only);
  let skipped = 0;
  for (let number = 0; number <= last; number += 1) {
    const random = new Random(streamOf(seed, 1_000 + number));
    const pause = random.chance(0.01) ? random.between(300, 2_500) : random.next() * 2 * knobs.pace;
    const list = !random.chance(knobs.mischief)
      ? REQUESTS
      : random.chance(knobs.operators)
        ? OPERATIONS
        : knobs.overthrows
          ? OVERTHROWS
          : FAULTS;
    const [, name, deed] = drawn(list, random);
    const aim = random.next();
    const which = random.next();
    if (only?.has(number) === false) {
      skipped += without.has("waiting") ? 0 : pause;
      continue;
    }
    yield {
      number,
      name,
      pause: pause + skipped,
      perform: (stage) => deed(stage, targetOf(stage.hosts, list === FAULTS ? 0.4 : 0.8, aim, which), random),
    };
    skipped = 0;
  }
}

/** A leader if `aim` falls short of `share`, and anybody otherwise. */
function targetOf(hosts: readonly Host[], share: number, aim: number, which: number): Host {
  const leaders = hosts.filter(({ leads }) => leads);
  const from = aim < share && leaders.length > 0 ? leaders : hosts;
  const target = from[Math.floor(which * from.length)];
  if (target === undefined) throw new Error("there are no replicas");
  return target;
}
