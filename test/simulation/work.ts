/** What a group is for, and what operators do to it: requests, and changes that are meant well. */
import type { Chance } from "./deeds.ts";

export const REQUESTS: readonly Chance[] = [
  [5, "write", ({ clients }, host, random) => clients.write(host, random)],
  [2, "compare and set", ({ clients }, host, random) => clients.write(host, random, true)],
  [5, "read", ({ clients }, host, random) => clients.read(host, random)],
  [1, "burst", ({ clients }, host, random) => clients.burst(host, random, random.between(2, 12))],
];

export const OPERATIONS: readonly Chance[] = [
  [
    8,
    "change of membership",
    ({ operators }, host, random) => operators.reconfigure(host, random.next(), random.next()),
  ],
  [1, "leaving a joint configuration", ({ operators }, host) => operators.leaveJoint(host)],
  [3, "transfer", ({ operators }, host, random) => operators.transfer(host, random.next())],
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
