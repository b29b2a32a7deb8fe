/**
 * One run: the founding, trouble for a number of steps, then peace, in which the group must find a
 * leader, commit what is asked of it and agree, and may fall silent and be woken. A step is one thing
 * that happens at one instant: a message arrives, a write completes, a timer fires, somebody acts.
 */
import { type Action, actionsOf } from "./actions.ts";
import { Checks } from "./checks.ts";
import { Clients } from "./clients.ts";
import type { Stage } from "./deeds.ts";
import { type Figures, noFigures } from "./figures.ts";
import { Foundings } from "./founding.ts";
import { Host } from "./host.ts";
import { unexplained } from "./linearizability.ts";
import { Network } from "./network.ts";
import { Operators } from "./operators.ts";
import { endReign } from "./overthrows.ts";
import { makePeace } from "./peace.ts";
import { Random, streamOf } from "./random.ts";
import { FAIR, type Knobs, knobsOf, type Scenario, type Weather } from "./scenario.ts";
import { Schedule } from "./schedule.ts";
import { Transcript } from "./transcript.ts";
import { Violation } from "./violation.ts";
import type { World } from "./world.ts";

export interface Result {
  readonly hash: string;
  readonly figures: Figures;
  readonly knobs: Knobs;
  /** Names of the actions performed, by number. */
  readonly performed: ReadonlyMap<number, string>;
  readonly violation?: { readonly step: number; readonly now: number; readonly error: Violation };
  /** Only if asked for. */
  readonly lines?: readonly string[];
}

/** Half of it in any weather, half of it in fair weather. */
const FOUNDING_MS = 6_000;
const FIRST_ELECTION_MS = 2_000;

export class Simulation implements Stage {
  readonly hosts: Host[] = [];
  readonly world: World;
  readonly network: Network;
  readonly clients: Clients;
  readonly operators: Operators;
  readonly foundings: Foundings;
  readonly performed = new Map<number, string>();
  steps = 0;
  shortReignsUntil = 0;
  readonly #scenario: Scenario;
  #weather: Weather;

  constructor(scenario: Scenario, recording: boolean) {
    this.#scenario = scenario;
    const knobs = knobsOf(scenario);
    const figures = noFigures();
    figures.runs = 1;
    this.#weather = knobs.troubledFounding ? knobs.weather : FAIR;
    const weather = () => this.#weather;
    const schedule = new Schedule();
    const luckSeed = streamOf(scenario.seed, 2 + 7 * scenario.luck);
    const streams = new Map<string, Random>();
    this.world = {
      knobs,
      schedule,
      luckSeed,
      luckOf: (name) => {
        const luck = streams.get(name) ?? new Random(streamOf(luckSeed, name), schedule);
        streams.set(name, luck);
        return luck;
      },
      checks: new Checks(this.hosts, knobs, figures, scenario.effectsOnly === true),
      transcript: new Transcript(recording),
      figures,
      get weather() {
        return weather();
      },
      transmit: (from, message, delay) => this.network.send(from, message, delay),
      elected: (host) => {
        if (this.world.schedule.now < this.shortReignsUntil) endReign(this, host);
      },
      inquire: (host) => this.foundings.inquireOnce(host),
    };
    for (const name of [...knobs.founders, ...knobs.spares]) {
      this.hosts.push(new Host(this.hosts.length, name, this.world));
    }
    this.network = new Network(this.world, this.hosts);
    this.clients = new Clients(this.world, this.hosts);
    this.operators = new Operators(this.world, this.hosts);
    this.foundings = new Foundings(this.world, this.network, this.hosts.slice(0, knobs.founders.length));
  }

  changeWeather(weather: Weather): void {
    this.#weather = weather;
  }

  run(): void {
    if (!this.#found()) return;
    const { beginsLed } = this.world.knobs;
    if (beginsLed) this.until(() => this.hosts.some(({ leads }) => leads), FIRST_ELECTION_MS);
    this.changeWeather(this.world.knobs.weather);
    this.#trouble();
    makePeace(this);
    const history = unexplained(this.clients.operations);
    if (history !== undefined) {
      throw new Violation(
        "reads and writes are linearizable",
        history.map((one) => JSON.stringify(one)).join("\n"),
      );
    }
  }

  /** Lets the next thing happen. */
  step(): void {
    const { schedule } = this.world;
    const before = schedule.now;
    if (!schedule.next()) throw new Violation("something always happens", `nothing will after ${before} ms`);
    this.steps += 1;
  }

  /** Steps until `condition` holds; false if it does not within `limit` milliseconds. */
  until(condition: () => boolean, limit: number): boolean {
    const end = this.world.schedule.now + limit;
    // So that there is always something to happen.
    const pulse = () => {
      if (this.world.schedule.now < end) this.world.schedule.after(10, pulse);
    };
    pulse();
    while (!condition()) {
      if (this.world.schedule.now >= end) return false;
      this.step();
    }
    return true;
  }

  /** False if the founding was spoilt beyond repair, which takes the loss of a disk. */
  #found(): boolean {
    const { schedule, knobs, checks } = this.world;
    const founders = this.hosts.slice(0, knobs.founders.length);
    const founded = () => this.foundings.founded !== undefined;
    let wiped = false;
    for (const host of this.hosts) {
      const luck = this.world.luckOf(`birth of ${host.name}`);
      const begins = () => host.start();
      schedule.after(knobs.troubledFounding ? luck.between(0, 500) : luck.between(0, 20), begins);
      if (!knobs.troubledFounding || !founders.includes(host)) continue;
      for (let crashes = luck.between(0, 3); crashes > 0; crashes -= 1) {
        schedule.after(luck.between(1, 1_500), () => {
          if (!founded() && !wiped && luck.chance(0.15)) {
            wiped = true;
            host.note(65, () => `${host.id} loses its disk`);
            host.wipe();
          } else host.crash();
          schedule.after(luck.between(1, 200), begins);
        });
      }
    }
    const withTrouble = this.until(founded, FOUNDING_MS / 2);
    if (!withTrouble) this.changeWeather(FAIR);
    if (!withTrouble && !this.until(founded, FOUNDING_MS / 2)) {
      if (wiped) {
        this.world.figures.unviable += 1;
        return false;
      }
      throw new Violation("a group is founded in the end", `not within ${FOUNDING_MS} ms`);
    }
    const members = this.foundings.founded?.members ?? [];
    const voters = members.map(({ name, incarnation }) => `${name}.${incarnation}`);
    checks.rules.founded({ type: "stable", voters, learners: [] });
    return true;
  }

  #trouble(): void {
    const { schedule, knobs } = this.world;
    const actions = actionsOf(this.#scenario, knobs);
    let over = false;
    const next = () => {
      const action: Action | undefined = actions.next().value ?? undefined;
      if (action === undefined) return;
      schedule.after(action.pause, () => {
        if (over) return;
        this.performed.set(action.number, action.name);
        action.perform(this);
        next();
      });
    };
    next();
    const end = this.steps + this.#scenario.steps;
    while (this.steps < end) this.step();
    over = true;
    this.shortReignsUntil = 0;
  }
}

/** Runs a scenario. Whatever goes wrong in it is a violation. */
export function simulate(scenario: Scenario, { recording = false } = {}): Result {
  const simulation = new Simulation(scenario, recording);
  const { world, performed } = simulation;
  let violation: Result["violation"];
  try {
    simulation.run();
  } catch (error) {
    const step = simulation.steps;
    const { now } = world.schedule;
    violation = { step, now, error: error instanceof Violation ? error : thrown(error) };
  }
  const { figures, transcript, checks, knobs } = world;
  figures.runsOfFive = Number(knobs.founders.length === 5);
  figures.steps = simulation.steps;
  figures.hours = world.schedule.now / 3_600_000;
  figures.decided = checks.history.length;
  figures.membershipChanges = checks.rules.changes;
  figures.jointChanges = checks.rules.joint;
  return {
    hash: transcript.hash,
    figures,
    knobs,
    performed,
    ...(violation !== undefined && { violation }),
    ...(transcript.lines !== undefined && { lines: transcript.lines }),
  };
}

function thrown(error: unknown): Violation {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return new Violation("the core never throws", stack.split("\n").slice(0, 6).join("\n"));
}
