/** What goes wrong by itself: processes, networks, disks and clocks. */
import { DEATH_POINTS } from "./batches.ts";
import { type Chance, downtime } from "./deeds.ts";
import { DIRECTIONS } from "./network.ts";
import { USURPATION } from "./overthrows.ts";
import type { World } from "./world.ts";

/** Leases rest on clocks that nobody sets. */
function mayBeSet({ knobs }: World): boolean {
  return knobs.drift > 0 && knobs.options.reads.type === "quorum";
}

export const FAULTS: readonly Chance[] = [
  USURPATION,
  [4, "crash", (_, host, random) => host.crash(downtime(random))],
  [
    6,
    "death within a batch",
    ({ world }, host, random) => {
      host.doom = { point: random.pick(DEATH_POINTS), downtime: downtime(random) };
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
      world.figures.crashesOfAll += 1;
      for (const host of hosts) if (host.running) host.crash(same ?? downtime(random));
    },
  ],
  [
    3,
    "pause",
    ({ world }, host, random) => {
      const length = random.pick([20, 100, 400, 1_500]);
      host.pause(length);
      const jump = random.pick([0, 0, 100, 2_000]);
      if (jump > 0 && mayBeSet(world)) world.schedule.after(length, () => host.jump(jump));
    },
  ],
  [
    1,
    "pause of all",
    ({ world, hosts }, _, random) => {
      const length = random.pick([50, 300, 1_500]);
      world.figures.pausesOfAll += 1;
      for (const host of hosts) host.pause(length);
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
      network.isolate(group, random.pick(DIRECTIONS));
    },
  ],
  [
    3,
    "isolation",
    ({ network }, host, random) => {
      host.note(63, () => `${host.id} is cut off`);
      network.isolate([host], random.pick(DIRECTIONS));
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
      host.note(25, () => `the disk of ${host.id} is slow`);
      host.flushes.slowness = random.pick([20, 100, 500]);
      world.figures.slowDisks += 1;
      world.schedule.after(random.between(50, 1_000), () => {
        host.flushes.slowness = 0;
      });
    },
  ],
  [
    1,
    "failing disk",
    (_, host) => {
      host.flushes.failNext = true;
    },
  ],
  [
    2,
    "clock set",
    ({ world }, host, random) => {
      if (mayBeSet(world)) host.jump(random.pick([-500, -20, 20, 500, 5_000]));
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
