/** What every process of a simulation stands in: time, luck, weather, and those who watch. */
import type { Message } from "../../src/raft/index.ts";
import type { Checks } from "./checks.ts";
import type { Figures } from "./figures.ts";
import type { Host } from "./host.ts";
import type { Command } from "./machine.ts";
import type { Random } from "./random.ts";
import type { Knobs, Weather } from "./scenario.ts";
import type { Schedule } from "./schedule.ts";
import type { Transcript } from "./transcript.ts";

export interface World {
  readonly knobs: Knobs;
  readonly schedule: Schedule;
  /** From which the streams of links, disks, replicas and clients are derived, by their names. */
  readonly luckSeed: number;
  luckOf(name: string): Random;
  readonly checks: Checks;
  readonly transcript: Transcript;
  readonly figures: Figures;
  readonly weather: Weather;
  transmit(from: Host, message: Message<Command>, delay: number): void;
  /** A replica leads a term that nobody led before. */
  elected(host: Host): void;
  /** A blank process begins to ask who it is. */
  inquire(host: Host): void;
}
