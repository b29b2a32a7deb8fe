/**
 * What is done to a group while it runs: requests, faults and operators' work. Each action is drawn
 * from a stream of its own number, so leaving one out changes none of the others.
 */
import type { Clients } from "./clients.ts";
import type { DeathPoint, Host, Surroundings } from "./host.ts";
import type { Network } from "./network.ts";
import type { Operators } from "./operators.ts";
import { Random, streamOf } from "./random.ts";
import type { Knobs, Scenario, Weather } from "./scenario.ts";

export interface Stage {
  readonly world: Surroundings;
  readonly hosts: readonly Host[];
  readonly network: Network;
  readonly clients: Clients;
  readonly operators: Operators;
  changeWeather(weather: Weather): void;
  /** Until then whoever is elected is cut off or dies soon after. */
  shortReignsUntil: number;
}

export interface Action {
  readonly number: number;
  readonly name: string;
  /** After the action before, in milliseconds. */
  readonly pause: number;
  readonly perform: (stage: Stage) => void;
}

type Deed = (stage: Stage, target: Host, random: Random) => void;

const REQUESTS: readonly (readonly [weight: number, name: string, deed: Deed])[] = [
  [5, "write", ({ clients }, host) => clients.write(host, false)],
  [2, "compare and set", ({ clients }, host) => clients.write(host, true)],
  [5, "read", ({ clients }, host) => clients.read(host)],
  [1, "burst", ({ clients }, host, random) => clients.burst(host, random.between(2, 12))],
];

/** A leader hears late answers, or none, while it is asked for reads and others are asked for writes. */
const USURPATION: (typeof REQUESTS)[number] = [
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
    if (heir !== undefined) operators.transfer(host, heir);
    schedule.after(random.between(5, 60), () => network.isolate([host], random.chance(0.3)));
    if (random.chance(0.3)) schedule.after(random.between(5, 80), () => host.crash(random.between(1, 20)));
    for (let count = 0; count < 12; count += 1) {
      const other = others[random.between(0, others.length - 1)];
      schedule.after(random.next() * 5 * loyalty, () => clients.read(host));
      schedule.after(random.next() * 5 * loyalty, () => other !== undefined && clients.write(other, false));
    }
    schedule.after(5 * loyalty, () => network.heal());
  },
];

const FAULTS: typeof REQUESTS = [
  USURPATION,
  [4, "crash", (_, host, random) => host.crash(downtime(random))],
  [
    6,
    "death within a batch",
    ({ world }, host, random) => {
      host.doom = { point: random.between(0, 3) as DeathPoint, downtime: downtime(random) };
      world.schedule.after(500, () => {
        host.doom = undefined;
      });
    },
  ],
  [
    1,
    "crash of all",
    ({ world, hosts }, _, random) => {
      const same = random.chance(0.5) ? random.between(0, 50) : undefined;
      world.transcript.note(world.schedule.now, 60, 0, () => "all die at once");
      for (const host of hosts) if (host.running) host.crash(same ?? downtime(random));
    },
  ],
  [
    3,
    "pause",
    ({ world }, host, random) => {
      if (!host.running) return;
      const length = random.pick([20, 100, 400, 1_500]);
      host.note(61, () => `${host.id} is paused for ${length} ms`);
      host.busyUntil = Math.max(host.busyUntil, world.schedule.now + length);
      world.figures.pauses += 1;
    },
  ],
  [
    2,
    "stall",
    (_, host, random) => {
      host.stall = random.pick([5, 50, 300]);
    },
  ],
  [
    3,
    "partition",
    ({ network, hosts, world }, _, random) => {
      const group = hosts.filter(() => random.chance(0.5));
      world.transcript.note(world.schedule.now, 62, 0, () => `${group.map(({ id }) => id)} are cut off`);
      network.isolate(group, random.chance(0.3));
      world.figures.partitions += 1;
    },
  ],
  [
    3,
    "isolation",
    ({ network, world }, host, random) => {
      host.note(63, () => `${host.id} is cut off`);
      network.isolate([host], random.chance(0.3));
      world.figures.partitions += 1;
    },
  ],
  [
    2,
    "bad link",
    ({ network, hosts }, host, random) => {
      for (const other of hosts) {
        if (other === host || random.chance(0.5)) continue;
        if (random.chance(0.5)) network.cut(host, other);
        else network.slow(host, other, random.pick([30, 200, 1_000]));
      }
    },
  ],
  [
    2,
    "silence of answers",
    ({ network, world }, _, random) => {
      network.muted = random.chance(0.7) ? "responses" : "requests";
      world.schedule.after(random.between(20, 500), () => {
        network.muted = undefined;
      });
    },
  ],
  [8, "healing", ({ network }) => network.heal()],
  [
    2,
    "slow disk",
    ({ world }, host, random) => {
      host.slowDisk = random.pick([20, 100, 500]);
      world.schedule.after(random.between(50, 1_000), () => {
        host.slowDisk = 0;
      });
    },
  ],
  [
    1,
    "failing disk",
    (_, host) => {
      host.failNextFlush = true;
    },
  ],
  [
    2,
    "clock set",
    ({ world }, host, random) => {
      const { knobs } = world;
      // Leases rest on clocks that do not do this.
      if (knobs.drift > 0 && knobs.options.reads.type === "quorum") {
        host.jump(random.pick([-500, -20, 20, 500, 5_000]));
      }
    },
  ],
  [
    1,
    "change of weather",
    (stage, _, random) =>
      stage.changeWeather({
        ...stage.world.weather,
        loss: stage.world.weather.loss === 0 ? 0 : random.pick([0.01, 0.1, 0.5]),
        delay: random.pick<readonly [number, number]>([
          [0, 2],
          [1, 10],
          [5, 100],
        ]),
      }),
  ],
];

const OPERATIONS: typeof REQUESTS = [
  [
    8,
    "change of membership",
    ({ operators }, host, random) => operators.reconfigure(host, random.next(), random.next()),
  ],
  [1, "leaving a joint configuration", ({ operators }, host) => operators.leaveJoint(host)],
  [
    3,
    "transfer",
    ({ operators, hosts }, host, random) => {
      const to = hosts[random.between(0, hosts.length - 1)];
      if (to !== undefined) operators.transfer(host, to);
    },
  ],
  [2, "snapshot", ({ operators }, host) => operators.snapshot(host)],
  [
    5,
    "snapshot and compaction",
    ({ operators }, host, random) =>
      operators.snapshot(host, () => operators.compact(host, random.pick([0, 0, 2]))),
  ],
  [2, "compaction", ({ operators }, host, random) => operators.compact(host, random.pick([0, 0, 3, 20]))],
  [1, "campaign", (_, host) => host.event((raft) => raft.campaign())],
  [
    1,
    "loss of a disk",
    ({ operators }, host, random) => {
      if (!operators.mayLose(host)) return;
      host.note(64, () => `${host.id} loses its disk`);
      host.wipe();
      const { life } = host;
      host.world.schedule.after(random.between(10, 300), () => {
        if (host.life === life) host.start();
      });
    },
  ],
];

/** Leaders that come and go before their entries are everywhere: what divergent logs are made of. */
const OVERTHROWS: typeof REQUESTS = [
  USURPATION,
  [
    3,
    "overthrow",
    ({ network, clients, world }, host, random) => {
      host.note(66, () => `${host.id} is cut off for a while`);
      network.isolate([host], random.chance(0.2));
      if (random.chance(0.7)) clients.burst(host, random.between(1, 12));
      world.figures.partitions += 1;
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
      host.doom = { point: random.between(0, 3) as DeathPoint, downtime: random.between(1, 60) };
    },
  ],
  [
    2,
    "campaign",
    ({ hosts }, _, random) => hosts[random.between(0, hosts.length - 1)]?.event((raft) => raft.campaign()),
  ],
  [2, "healing", ({ network }) => network.heal()],
];

function downtime(random: Random): number {
  return random.pick([1, 20, 200, 1_000]) * (0.5 + random.next());
}

/** What befalls a leader while reigns are short. */
export function endReign({ network, world }: Stage, host: Host): void {
  const { luck, schedule } = world;
  schedule.after(luck.between(0, 30), () => {
    if (luck.chance(0.3)) host.crash(luck.between(1, 200));
    else {
      host.note(67, () => `${host.id} is cut off after a short reign`);
      network.isolate([host], false);
      schedule.after(luck.between(50, 400), () => network.heal());
    }
  });
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

function drawn(list: typeof REQUESTS, random: Random): (typeof REQUESTS)[number] {
  let left = random.next() * list.reduce((sum, [weight]) => sum + weight, 0);
  for (const item of list) {
    left -= item[0];
    if (left < 0) return item;
  }
  throw new Error("weights add up");
}

/** A leader if `aim` falls short of `share`, and anybody otherwise. */
function targetOf(hosts: readonly Host[], share: number, aim: number, which: number): Host {
  const leaders = hosts.filter(({ leads }) => leads);
  const from = aim < share && leaders.length > 0 ? leaders : hosts;
  const target = from[Math.floor(which * from.length)];
  if (target === undefined) throw new Error("there are no replicas");
  return target;
}
