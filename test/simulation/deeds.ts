/** What somebody may do to a group, drawn by weight. */
import type { Clients } from "./clients.ts";
import type { Host } from "./host.ts";
import type { Network } from "./network.ts";
import type { Operators } from "./operators.ts";
import type { Random } from "./random.ts";
import type { Weather } from "./scenario.ts";
import type { World } from "./world.ts";

export interface Stage {
  readonly world: World;
  readonly hosts: readonly Host[];
  readonly network: Network;
  readonly clients: Clients;
  readonly operators: Operators;
  changeWeather(weather: Weather): void;
  /** Until then whoever is elected is cut off or dies soon after. */
  shortReignsUntil: number;
}

export type Deed = (stage: Stage, target: Host, random: Random) => void;

/** One of several deeds. */
export type Chance = readonly [weight: number, name: string, deed: Deed];

export function drawn(list: readonly Chance[], random: Random): Chance {
  let left = random.next() * list.reduce((sum, [weight]) => sum + weight, 0);
  for (const item of list) {
    left -= item[0];
    if (left < 0) return item;
  }
  throw new Error("weights add up");
}

export function downtime(random: Random): number {
  return random.pick([1, 20, 200, 1_000]) * (0.5 + random.next());
}
