/**
 * What a seed stands for. Everything about a run is drawn from it: who takes part, how they are set
 * up, what the weather is like, and the stream of actions. A scenario can be cut down: without some
 * kinds of trouble, without some actions, with other luck in the network and on the disks.
 */
import type { Limits, RaftOptions, Timing } from "../../src/raft/index.ts";
import type { LinkWeather } from "./links.ts";
import { COMMAND_BYTES } from "./machine.ts";
import { Random, streamOf } from "./random.ts";

/** Kinds of trouble, and of liberties, that a scenario can do without. */
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
  "spares",
  "forwarding",
  "silence",
  "resuming",
  "favourite",
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
  /** Not how the membership is changed is looked at, only what comes of it. */
  readonly effectsOnly?: boolean;
  /** The fault of `test/mutation` that is in the core, if any. */
  readonly bug?: string;
}

export const STEPS = 2_000;

export function scenarioOf(seed: number, more: Pick<Scenario, "bug" | "effectsOnly"> = {}): Scenario {
  return { seed, luck: 0, steps: STEPS, without: new Set(), ...more };
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
  const { weather, timing, options, ...knobs } = drawn(seed);
  const { quiesceAfter, ...timingAwake } = timing;
  const slowDisks = without.has("slow-disks") ? { flush: FAIR.flush, diskFailure: 0 } : undefined;
  return {
    ...knobs,
    ...(without.has("five-replicas") && { founders: knobs.founders.slice(0, 3) }),
    ...(without.has("spares") && { spares: [] }),
    ...(without.has("favourite") && { favourite: undefined }),
    ...(without.has("limits") && { limits: WIDE }),
    ...(without.has("gated-hosts") && { gated: false }),
    ...(without.has("drift") && { drift: 0 }),
    ...(without.has("lazy-hosts") && { lazy: 0 }),
    ...(without.has("founding") && { troubledFounding: false }),
    timing: without.has("silence") ? timingAwake : timing,
    options: {
      ...options,
      ...(without.has("silence") && { startQuiesced: false }),
      ...(without.has("forwarding") && { forwardRequests: false }),
      ...(without.has("resuming") && { resumeLeadership: false }),
    },
    weather: {
      ...weather,
      ...slowDisks,
      ...(without.has("loss") && { loss: 0 }),
      ...(without.has("repetition") && { repetition: 0 }),
      ...(without.has("reordering") && { overtaken: 0 }),
    },
  };
}

/** Limits that nothing reaches. */
const WIDE: Limits = {
  entryBytes: 10 * COMMAND_BYTES,
  messageBytes: 100 * COMMAND_BYTES,
  inFlightMessages: 16,
  inFlightBytes: 500 * COMMAND_BYTES,
  uncommittedBytes: 1_000 * COMMAND_BYTES,
  committedBytes: 500 * COMMAND_BYTES,
};

/** As a whole, so that doing without one thing changes none of the others. */
function drawn(seed: number): Knobs {
  const random = new Random(streamOf(seed, 1));
  const size = random.chance(0.4) ? 5 : 3;
  const heartbeatInterval = random.pick([20, 50, 75]);
  const loyalty = heartbeatInterval * random.pick([2, 4]);
  const longest = loyalty * random.pick([1.5, 2, 3]);
  const silence = random.pick([400, 1_500]);
  const silent = random.chance(0.3);
  const checkQuorum = random.chance(0.8);
  const lease = checkQuorum && random.chance(0.25);
  const drift = lease ? 0.02 : random.pick([0, 0, 0.02, 0.3]);
  const overthrows = random.chance(0.3);
  const tight = random.chance(overthrows ? 0.8 : 0.4);
  return {
    founders: ["r1", "r2", "r3", "r4", "r5"].slice(0, size),
    spares: ["r6", "r7"],
    timing: {
      heartbeatInterval,
      loyalty,
      electionTimeout: [loyalty, longest],
      ...(silent && { quiesceAfter: silence }),
      ...(seed % 2 === 1 && { commitNoticeAfter: heartbeatInterval / 5 }),
    },
    favourite: random.chance(0.2) ? "r1" : undefined,
    limits: {
      ...WIDE,
      ...(tight && {
        messageBytes: COMMAND_BYTES * random.between(1, 5),
        inFlightMessages: random.between(1, 4),
        inFlightBytes: COMMAND_BYTES * random.between(1, 10),
        uncommittedBytes: COMMAND_BYTES * random.between(5, 50),
        committedBytes: COMMAND_BYTES * random.between(1, 10),
      }),
    },
    options: {
      checkQuorum,
      preVote: random.chance(checkQuorum ? 0.9 : 0.5),
      reads: lease ? { type: "lease", maxDrift: Math.ceil(loyalty * 0.05) } : { type: "quorum" },
      forwardRequests: random.chance(0.4),
      resumeLeadership: random.chance(0.2),
      startQuiesced: silent && random.chance(0.5),
    },
    gated: random.chance(0.4),
    drift,
    wholeMilliseconds: random.chance(0.5),
    lazy: random.chance(0.5) ? random.pick([0.1, 0.5]) : 0,
    weather: {
      loss: random.pick([0, 0.02, 0.1, 0.3]),
      repetition: random.pick([0, 0.05, 0.5]),
      delay: random.pick<readonly [number, number]>([
        [1, 5],
        [1, 10],
        [0, 60],
      ]),
      overtaken: random.pick([0, 0.02, 0.1]),
      flush: random.pick<readonly [number, number]>([
        [0, 0],
        [0, 4],
        [0, 40],
      ]),
      diskFailure: random.pick([0, 0, 0.002]),
    },
    troubledFounding: random.chance(0.2),
    beginsLed: random.chance(0.6),
    pace: random.pick([4, 8, 15, 40]),
    mischief: overthrows ? random.pick([0.2, 0.5]) : random.pick([0.05, 0.15, 0.3]),
    operators: overthrows ? 0.1 : random.pick([0.3, 0.6]),
    overthrows,
    handling: seed % 16 === 5 ? "frozen" : seed % 16 === 11 ? "text" : "shared",
  };
}
