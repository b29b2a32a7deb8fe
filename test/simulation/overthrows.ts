/** Leaders that come and go before their entries are everywhere: what divergent logs are made of. */
import { DEATH_POINTS } from "./batches.ts";
import type { Chance, Stage } from "./deeds.ts";
import type { Host } from "./host.ts";
import { DIRECTIONS } from "./network.ts";

/** A leader hears late answers, or none, while it is asked for reads and others are asked for writes. */
export const USURPATION: Chance = [
  3,
  "usurpation",
  ({ network, clients, operators, hosts, world }, host, random) => {
    const { schedule, knobs } = world;
    const { loyalty } = knobs.timing;
    const others = hosts.filter((other) => other !== host);
    const late = random.chance(0.5) ? loyalty * random.next() * 3 : 0;
    host.note(68, () => `${host.id} hears late, then nothing`);
    for (const other of others) network.slow(other, host, late);
    const heir = random.chance(0.4) ? others[random.between(0, others.length - 1)] : undefined;
    if (heir !== undefined) operators.handOver(host, heir);
    schedule.after(random.between(5, 60), () => network.isolate([host], random.pick(DIRECTIONS)));
    if (random.chance(0.3)) schedule.after(random.between(5, 80), () => host.crash(random.between(1, 20)));
    for (let count = 0; count < 12; count += 1) {
      const other = others[random.between(0, others.length - 1)];
      schedule.after(random.next() * 5 * loyalty, () => clients.read(host, random));
      schedule.after(random.next() * 5 * loyalty, () => other !== undefined && clients.write(other, random));
    }
    schedule.after(5 * loyalty, () => network.heal());
  },
];

export const OVERTHROWS: readonly Chance[] = [
  USURPATION,
  [
    3,
    "overthrow",
    ({ network, clients, world }, host, random) => {
      host.note(66, () => `${host.id} is cut off for a while`);
      network.isolate([host], random.pick(DIRECTIONS));
      if (random.chance(0.7)) clients.burst(host, random, random.between(1, 12));
      world.schedule.after(random.pick([50, 200, 600]) * (0.5 + random.next()), () => network.heal());
    },
  ],
  [
    2,
    "half of the followers only",
    ({ network, hosts, world }, host, random) => {
      const deaf = hosts.filter((other) => other !== host && random.chance(0.5));
      for (const other of deaf) network.cut(host, other);
      world.schedule.after(random.between(20, 400), () => network.heal());
    },
  ],
  [
    6,
    "short reigns",
    (stage, _, random) => {
      stage.shortReignsUntil = stage.world.schedule.now + random.between(300, 1_500);
    },
  ],
  [2, "short crash", (_, host, random) => host.crash(random.between(1, 60))],
  [
    2,
    "death within a batch",
    (_, host, random) => {
      host.doom = { point: random.pick(DEATH_POINTS), downtime: random.between(1, 60) };
    },
  ],
  [
    2,
    "campaign",
    ({ hosts }, _, random) => hosts[random.between(0, hosts.length - 1)]?.event((raft) => raft.campaign()),
  ],
  [2, "healing", ({ network }) => network.heal()],
];

/** What befalls a leader while reigns are short. */
export function endReign({ network, world }: Stage, host: Host): void {
  const { schedule } = world;
  const luck = world.luckOf(`reign of ${host.name}`);
  schedule.after(luck.between(0, 30), () => {
    if (luck.chance(0.3)) host.crash(luck.between(1, 200));
    else {
      host.note(67, () => `${host.id} is cut off after a short reign`);
      network.isolate([host], "both");
      schedule.after(luck.between(50, 400), () => network.heal());
    }
  });
}
