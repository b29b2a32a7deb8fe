/**
 * What a seed stands for. Everything about a run is drawn from it: who takes part, how they are set
 * up, what the weather is like, and the stream of actions. A scenario can be cut down: without some
 * kinds of trouble, without some actions, with other luck in the network and on the disks.
 */
import type { Limits, RaftOptions, Timing } from "../../src/raft/index.ts";
import type { LinkWeather } from "./links.ts";
import { COMMAND_BYTES } from "./machine.ts";
import { Random, streamOf } from "./random.ts";

/** Kinds of trouble that a scenario can do without. */
export const TROUBLES = [
  "loss",
  "repetition",
  "reordering",
  "slow-disks",
  "drift",
  "lazy-hosts",
  "founding",
  "limits",
  "five-replicas",
  "gated-hosts",
  // The time that actions left out would have taken.
  "waiting",
] as const;
export type Trouble = (typeof TROUBLES)[number];

export interface Scenario {
  readonly seed: number;
  /** Shifts what networks, disks, replicas and clocks draw, and nothing else. */
  readonly luck: number;
  /** Events after which the trouble ends. */
  readonly steps: number;
  /** The actions that take place, by number; all of them if absent. */
  readonly only?: ReadonlySet<number>;
  readonly without: ReadonlySet<Trouble>;
  /** The fault of `test/mutation` that is in the core, if any. */
  readonly bug?: string;
}

export const STEPS = 2_000;

export function scenarioOf(seed: number, bug?: string): Scenario {
  return { seed, luck: 0, steps: STEPS, without: new Set(), ...(bug !== undefined && { bug }) };
}

export interface Weather extends LinkWeather {
  readonly flush: readonly [min: number, max: number];
  readonly diskFailure: number;
}

export const FAIR: Weather = {
  loss: 0,
  repetition: 0,
  delay: [1, 5],
  overtaken: 0,
  flush: [0, 2],
  diskFailure: 0,
};

export interface Knobs {
  readonly founders: readonly string[];
  readonly spares: readonly string[];
  readonly timing: Timing;
  /** The founder that should rather lead waits less than the others. */
  readonly favourite: string | undefined;
  readonly limits: Limits;
  readonly options: Pick<
    RaftOptions<never>,
    "preVote" | "checkQuorum" | "reads" | "forwardRequests" | "resumeLeadership" | "startQuiesced"
  >;
  /** Hosts claim writes durable at once and hold back what they say until it is true. */
  readonly gated: boolean;
  /** How much faster than true time clocks may run, as a fraction. */
  readonly drift: number;
  readonly wholeMilliseconds: boolean;
  /** Chance that a host steps more before it asks what to do. */
  readonly lazy: number;
  readonly weather: Weather;
  readonly troubledFounding: boolean;
  /** Trouble begins only when there is a leader. */
  readonly beginsLed: boolean;
  /** Mean pause between actions. */
  readonly pace: number;
  /** Share of actions that are neither reads nor writes. */
  readonly mischief: number;
  readonly operators: number;
  /** Trouble is made for leaders above all. */
  readonly overthrows: boolean;
  /** Messages are made unchangeable, or sent as text. */
  readonly handling: "shared" | "frozen" | "text";
}

export function knobsOf({ seed, without }: Scenario): Knobs {
  const random = new Random(streamOf(seed, 1));
  const size = random.chance(0.4) && !without.has("five-replicas") ? 5 : 3;
  const heartbeatInterval = random.pick([20, 50, 75]);
  const loyalty = heartbeatInterval * random.pick([2, 4]);
  const longest = loyalty * random.pick([1.5, 2, 3]);
  const silence = random.pick([400, 1_500]);
  const silent = random.chance(0.3);
  const checkQuorum = random.chance(0.8);
  const lease = checkQuorum && random.chance(0.25);
  const drift = without.has("drift") ? 0 : lease ? 0.02 : random.pick([0, 0, 0.02, 0.3]);
  const overthrows = random.chance(0.3);
  const tight = random.chance(overthrows ? 0.8 : 0.4) && !without.has("limits");
  return {
    founders: ["r1", "r2", "r3", "r4", "r5"].slice(0, size),
    spares: ["r6", "r7"],
    timing: {
      heartbeatInterval,
      loyalty,
      electionTimeout: [loyalty, longest],
      ...(silent && { quiesceAfter: silence }),
    },
    favourite: random.chance(0.2) ? "r1" : undefined,
    limits: {
      entryBytes: 10 * COMMAND_BYTES,
      messageBytes: COMMAND_BYTES * (tight ? random.between(1, 5) : 100),
      inFlightMessages: tight ? random.between(1, 4) : 16,
      inFlightBytes: COMMAND_BYTES * (tight ? random.between(1, 10) : 500),
      uncommittedBytes: COMMAND_BYTES * (tight ? random.between(5, 50) : 1_000),
      committedBytes: COMMAND_BYTES * (tight ? random.between(1, 10) : 500),
    },
    options: {
      checkQuorum,
      preVote: random.chance(checkQuorum ? 0.9 : 0.5),
      reads: lease ? { type: "lease", maxDrift: Math.ceil(loyalty * 0.05) } : { type: "quorum" },
      forwardRequests: random.chance(0.4),
      resumeLeadership: random.chance(0.2),
      startQuiesced: silent && random.chance(0.5),
    },
    gated: random.chance(0.4) && !without.has("gated-hosts"),
    drift,
    wholeMilliseconds: random.chance(0.5),
    lazy: random.chance(0.5) && !without.has("lazy-hosts") ? random.pick([0.1, 0.5]) : 0,
    weather: {
      loss: random.pick([0, 0.02, 0.1, 0.3]) * Number(!without.has("loss")),
      repetition: random.pick([0, 0.05, 0.5]) * Number(!without.has("repetition")),
      delay: random.pick<readonly [number, number]>([
        [1, 5],
        [1, 10],
        [0, 60],
      ]),
      overtaken: random.pick([0, 0.02, 0.1]) * Number(!without.has("reordering")),
      flush: without.has("slow-disks")
        ? [0, 0]
        : random.pick<readonly [number, number]>([
            [0, 0],
            [0, 4],
            [0, 40],
          ]),
      diskFailure: random.pick([0, 0, 0.002]) * Number(!without.has("slow-disks")),
    },
    troubledFounding: random.chance(0.2) && !without.has("founding"),
    beginsLed: random.chance(0.6),
    pace: random.pick([4, 8, 15, 40]),
    mischief: overthrows ? random.pick([0.2, 0.5]) : random.pick([0.05, 0.15, 0.3]),
    operators: overthrows ? 0.1 : random.pick([0.3, 0.6]),
    overthrows,
    handling: seed % 16 === 5 ? "frozen" : seed % 16 === 11 ? "text" : "shared",
  };
}
