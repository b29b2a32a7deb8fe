/**
 * Links between processes, each in one direction and with luck of its own: what takes them is lost,
 * repeated, late or overtaken, and a link may be slow or down.
 */
import { Random, streamOf } from "./random.ts";
import type { Schedule } from "./schedule.ts";

/** Probabilities in `[0, 1]`, times in milliseconds. */
export interface LinkWeather {
  readonly loss: number;
  readonly repetition: number;
  readonly delay: readonly [min: number, max: number];
  /** Chance that a message takes ten times as long. */
  readonly overtaken: number;
}

interface Link {
  readonly luck: Random;
  isCut: boolean;
  /** Milliseconds more than the weather says. */
  slowness: number;
  /** Numbers what is sent, and the newest of it that arrived. */
  sent: number;
  arrived: number;
}

/** What became of all that was sent. */
export interface Traffic {
  sent: number;
  dropped: number;
  repeated: number;
  /** Arrived after something that was sent later. */
  overtaken: number;
}

const MOST_COPIES = 3;
/** How much later some repetitions turn up: after everybody has forgotten the message. */
const LATE_FACTOR = 50;

export class Links {
  readonly #seed: number;
  readonly #schedule: Schedule;
  readonly #weather: () => LinkWeather;
  readonly #traffic: Traffic;
  readonly #links = new Map<string, Map<string, Link>>();

  constructor(seed: number, schedule: Schedule, weather: () => LinkWeather, traffic: Traffic) {
    this.#seed = seed;
    this.#schedule = schedule;
    this.#weather = weather;
    this.#traffic = traffic;
  }

  cut(from: string, to: string): void {
    this.#link(from, to).isCut = true;
  }

  slow(from: string, to: string, by: number): void {
    this.#link(from, to).slowness = by;
  }

  heal(): void {
    for (const links of this.#links.values()) {
      for (const link of links.values()) {
        link.isCut = false;
        link.slowness = 0;
      }
    }
  }

  /** The luck of what goes from one to the other. */
  luck(from: string, to: string): Random {
    return this.#link(from, to).luck;
  }

  /** Lets something happen whenever a copy of what is sent arrives; false if none ever does. */
  carry(from: string, to: string, arrive: () => void, delay = 0): boolean {
    const link = this.#link(from, to);
    const { luck } = link;
    const weather = this.#weather();
    const traffic = this.#traffic;
    traffic.sent += 1;
    link.sent += 1;
    const number = link.sent;
    if (link.isCut || luck.chance(weather.loss)) {
      traffic.dropped += 1;
      return false;
    }
    let copies = 1;
    while (copies < MOST_COPIES && luck.chance(weather.repetition)) copies += 1;
    traffic.repeated += copies - 1;
    for (let copy = 0; copy < copies; copy += 1) {
      const late = luck.chance(weather.overtaken) ? 10 : copy > 0 && luck.chance(0.1) ? LATE_FACTOR : 1;
      const way = luck.between(...weather.delay) * late + luck.next() + link.slowness;
      this.#schedule.after(delay + way, () => {
        // What was on its way when a link broke may still arrive.
        if (link.isCut && luck.chance(0.5)) {
          traffic.dropped += 1;
          return;
        }
        if (number < link.arrived) traffic.overtaken += 1;
        else link.arrived = number;
        arrive();
      });
    }
    return true;
  }

  #link(from: string, to: string): Link {
    let links = this.#links.get(from);
    if (links === undefined) {
      links = new Map();
      this.#links.set(from, links);
    }
    let link = links.get(to);
    if (link === undefined) {
      const luck = new Random(streamOf(this.#seed, `link from ${from} to ${to}`), this.#schedule);
      link = { luck, isCut: false, slowness: 0, sent: 0, arrived: 0 };
      links.set(to, link);
    }
    return link;
  }
}
