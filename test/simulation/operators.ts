/**
 * Operators: they change the membership, hand leadership over, take snapshots and cut logs, and put a
 * new replica in the place of one that lost its disk.
 */
import type { MembershipChange, Outcome, Raft, Refusal } from "../../src/raft/index.ts";
import { leaderNamed } from "./clients.ts";
import { isVoter, membersOf } from "./configuration-rules.ts";
import { Disk } from "./disk.ts";
import type { Host } from "./host.ts";
import { type Command, Machine } from "./machine.ts";
import type { World } from "./world.ts";

const MOST_ATTEMPTS = 6;
const PATIENCE_MS = 80;
/** Asking again would not help. */
const FINAL: ReadonlySet<Refusal["type"]> = new Set(["invalid-change", "change-in-progress"]);

export class Operators {
  readonly #world: World;
  readonly #hosts: readonly Host[];
  /** What may be snapshot only once at a time, by host and life. */
  readonly #taking = new Set<string>();
  #resting = false;

  constructor(world: World, hosts: readonly Host[]) {
    this.#world = world;
    this.#hosts = hosts;
  }

  /** Nothing more is asked of anybody. */
  rest(): void {
    this.#resting = true;
  }

  /** Hands leadership to one of the voters, drawn with `which` in `[0, 1)`. */
  transfer(leader: Host, which: number): void {
    const { current } = this.#world.checks.rules;
    if (current === undefined) return;
    const voters = this.#hosts.filter(({ id }) => id !== leader.id && isVoter(current, id));
    const to = voters[Math.floor(which * voters.length)];
    if (to !== undefined) this.handOver(leader, to);
  }

  handOver(leader: Host, to: Host): void {
    this.#insist(leader, (raft, host) => {
      const outcome = raft.transferLeadership(to.id);
      host.note(50, () => `${host.id} is to hand over to ${to.id}: ${said(outcome)}`);
      if (outcome.type !== "refused") this.#world.figures.transfers += 1;
      return outcome;
    });
  }

  leaveJoint(leader: Host): void {
    this.#insist(leader, (raft, host) => {
      const outcome = raft.leaveJointConfiguration();
      host.note(51, () => `${host.id} is to leave its joint configuration: ${said(outcome)}`);
      return outcome;
    });
  }

  /** Asks again, where a refusal points or a little later, if it may be granted then. */
  #insist(
    host: Host,
    ask: (raft: Raft<Command>, host: Host) => Outcome | undefined,
    attempts = MOST_ATTEMPTS,
  ): void {
    host.event((raft) => {
      if (this.#resting) return;
      const outcome = ask(raft, host);
      if (outcome?.type !== "refused" || attempts === 1 || FINAL.has(outcome.refusal.type)) return;
      const hint = leaderNamed(outcome.refusal);
      const next = this.#hosts.find(({ id, leads }) => (hint === undefined ? leads : id === hint)) ?? host;
      const pause = next === host ? PATIENCE_MS : 2;
      this.#world.schedule.after(pause, () => this.#insist(next, ask, attempts - 1));
    });
  }

  /** Takes an image of the state machine now; it is durable some time later. */
  snapshot(host: Host, then: () => void = () => {}): void {
    if (host.raft === undefined) return;
    const at = host.machine.applied;
    const newest = host.disk.newestImage?.descriptor.last.index ?? 0;
    const key = `${host.id} ${host.life}`;
    if (at <= newest || this.#taking.has(key)) return;
    host.event((raft) => {
      const { applied } = host.machine;
      if (applied <= (host.disk.newestImage?.descriptor.last.index ?? 0)) return;
      // A learner that has not got as far as the entry which adds it knows no configuration to label it with.
      if (!this.#world.checks.rules.isKnown(host, applied)) return;
      const descriptor = raft.describeSnapshot(applied, `${host.id}-${host.life}-${applied}`);
      this.#taking.add(key);
      host.store({ image: { descriptor, machine: new Machine(host.machine) } }, () => {
        this.#taking.delete(key);
        this.#world.figures.snapshots += 1;
        host.note(52, () => `${host.id} has an image of ${applied}`);
        // Installing a newer one may have overtaken it.
        if (host.disk.newestImage?.descriptor.last.index === applied) host.raft?.snapshotTaken(descriptor);
        then();
      });
    });
  }

  /** Forgets the log that the newest image covers, or most of it. */
  compact(host: Host, keep: number): void {
    host.event(() => {
      const image = host.disk.newestImage;
      if (image === undefined || this.#taking.has(`${host.id} ${host.life}`)) return;
      const through = Math.min(image.descriptor.last.index - keep, host.disk.lastIndex);
      if (through < host.disk.firstIndex) return;
      host.store({ cutThrough: through }, () => {});
      this.#world.figures.cut += 1;
      host.note(53, () => `${host.id} forgets its log through ${through}`);
    });
  }

  /** One change of membership that makes sense, drawn with `choice` and `which` in `[0, 1)`. */
  reconfigure(leader: Host, choice: number, which: number): void {
    const leave = which < 0.5 ? "automatic" : "explicit";
    this.#insist(leader, (raft, host) => {
      const { current } = this.#world.checks.rules;
      if (current?.type !== "stable") return undefined;
      const changes = this.#changes(current, choice, which);
      if (changes.length === 0) return undefined;
      const outcome = raft.proposeMembership(changes, { leave });
      const what = () => changes.map(({ type, replica }) => `${type} ${replica}`).join(", ");
      host.note(55, () => `${host.id} is to change the membership, ${what()}: ${said(outcome)}`);
      return outcome;
    });
  }

  #changes(
    { voters, learners }: { readonly voters: readonly string[]; readonly learners: readonly string[] },
    choice: number,
    which: number,
  ): MembershipChange[] {
    const one = (from: readonly string[]) => from[Math.floor(which * from.length)];
    const dead = [...voters, ...learners].find((id) => !this.#hosts.some((host) => host.id === id));
    const known = new Set([...voters, ...learners]);
    const outsider = one(
      this.#hosts.filter((host) => !known.has(host.id) && this.#admit(host)).map(({ id }) => id),
    );
    const learner = one(learners.filter((id) => id !== dead));
    const voter = one(voters);
    // As long as somebody is gone for good, nothing but his replacement.
    if (dead !== undefined) {
      if (learners.includes(dead)) return [{ type: "remove", replica: dead }];
      if (learner !== undefined)
        return [
          { type: "promote", replica: learner },
          { type: "remove", replica: dead },
        ];
      if (outsider !== undefined) return [{ type: "add-learner", replica: outsider }];
      return voters.length > 2 ? [{ type: "remove", replica: dead }] : [];
    }
    if (choice < 0.3) return outsider === undefined ? [] : [{ type: "add-learner", replica: outsider }];
    if (choice < 0.5) return learner === undefined ? [] : [{ type: "promote", replica: learner }];
    if (choice < 0.57) return learner === undefined ? [] : [{ type: "remove", replica: learner }];
    if (voter === undefined || voters.length < 3) return [];
    if (choice < 0.64) return [{ type: "demote", replica: voter }];
    if (choice < 0.71) return [{ type: "remove", replica: voter }];
    const second = voters.find((id) => id !== voter);
    if (learner !== undefined)
      return [
        { type: "promote", replica: learner },
        { type: choice < 0.85 ? "remove" : "demote", replica: voter },
      ];
    return voters.length > 3 && second !== undefined
      ? [
          { type: "demote", replica: voter },
          { type: "demote", replica: second },
        ]
      : [];
  }

  /** A process that is not part of the group may be added, with an empty disk or its own. */
  #admit(host: Host): boolean {
    if (host.stage === "member") return true;
    if (host.stage === "blank" && !this.#world.knobs.spares.includes(host.name)) return false;
    host.stage = "member";
    host.disk = new Disk(undefined);
    host.note(54, () => `${host.id} waits to be added`);
    host.join();
    return true;
  }

  /** Whether a replica may lose its disk for ever without taking the group with it. */
  mayLose(host: Host): boolean {
    const { rules } = this.#world.checks;
    const { current } = rules;
    if (current?.type !== "stable" || current.voters.length < 3) return false;
    const agree = this.#hosts.every(
      (other) =>
        other.stage !== "member" ||
        !membersOf(current).has(other.id) ||
        rules.inForce(other) === current ||
        JSON.stringify(rules.inForce(other)) === JSON.stringify(current),
    );
    const gone = [...membersOf(current)].some((id) => !this.#hosts.some((other) => other.id === id));
    return agree && !gone && host.stage === "member";
  }
}

function said(outcome: Outcome): string {
  return outcome.type === "refused" ? `refused, ${outcome.refusal.type}` : outcome.type;
}
