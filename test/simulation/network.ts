/**
 * What processes say to each other: the messages of the protocol, and what a host has to say besides
 * (who are you, here is the founding, an image). All of it takes the same links.
 */
import type { Message } from "../../src/raft/index.ts";
import type { Host } from "./host.ts";
import { Links } from "./links.ts";
import type { Command } from "./machine.ts";
import { describe } from "./transcript.ts";
import type { World } from "./world.ts";

/** What is cut off: what a group says, what it hears, or both. */
export const DIRECTIONS = ["both", "both", "both", "both", "out", "in"] as const;
export type Direction = (typeof DIRECTIONS)[number];

/** How long an image takes, per message delay. */
const IMAGE_FACTOR = 8;

export class Network {
  readonly #world: World;
  readonly #hosts: readonly Host[];
  readonly #links: Links;
  /** Nothing of this kind gets through. */
  muted: "requests" | "responses" | undefined;

  constructor(world: World, hosts: readonly Host[]) {
    this.#world = world;
    this.#hosts = hosts;
    this.#links = new Links(world.luckSeed, world.schedule, () => world.weather, world.figures);
  }

  cut(from: Host, to: Host): void {
    this.#links.cut(from.name, to.name);
    this.#world.figures.linksCut += 1;
  }

  slow(from: Host, to: Host, by: number): void {
    this.#links.slow(from.name, to.name, by);
    if (by > 0) this.#world.figures.slowLinks += 1;
  }

  /** Cuts the links between `group` and the others. */
  isolate(group: readonly Host[], direction: Direction): void {
    const { figures } = this.#world;
    if (direction === "both") figures.partitions += 1;
    else figures.oneWayPartitions += 1;
    for (const inside of group) {
      for (const outside of this.#hosts) {
        if (group.includes(outside)) continue;
        if (direction !== "in") this.cut(inside, outside);
        if (direction !== "out") this.cut(outside, inside);
      }
    }
  }

  heal(): void {
    const { transcript, schedule } = this.#world;
    transcript.note(schedule.now, 70, 0, () => "all links are healed");
    this.#links.heal();
    this.muted = undefined;
  }

  send(from: Host, message: Message<Command>, delay: number): void {
    const to = this.#hosts.find((host) => host.id === message.to);
    // Nobody of that name, or a former incarnation of somebody.
    if (to === undefined) return;
    if (message.type === "snapshot-offer") {
      this.#sendImage(from, to, message, delay);
      return;
    }
    const { knobs, schedule } = this.#world;
    if (knobs.handling === "frozen") freeze(message);
    const carried =
      knobs.handling === "text" ? (JSON.parse(JSON.stringify(message)) as typeof message) : message;
    const arrive = () => {
      if (to.id === message.to) to.event((raft) => this.#step(raft, carried, to));
    };
    if (!this.#isMuted(message) && this.carry(from, to, arrive, delay)) return;
    if (this.#links.luck(from.name, to.name).chance(0.1)) {
      schedule.after(20, () => from.event((raft) => raft.reportUnreachable(message.to)));
    }
  }

  /** Lets something happen at `to` when what `from` says arrives; false if it never does. */
  carry(from: Host, to: Host, arrive: () => void, delay = 0): boolean {
    return this.#links.carry(from.name, to.name, arrive, delay);
  }

  #isMuted({ type }: Message<Command>): boolean {
    if (this.muted === undefined || (this.muted === "responses") !== type.endsWith("-response")) return false;
    const { figures } = this.#world;
    figures.sent += 1;
    figures.dropped += 1;
    return true;
  }

  #step(raft: { step(message: Message<Command>): void }, message: Message<Command>, to: Host): void {
    to.note(2, () => `      ${describe(message)}`);
    raft.step(message);
  }

  /** Moves the image first; the offer is stepped only where it is held. */
  #sendImage(
    from: Host,
    to: Host,
    message: Extract<Message<Command>, { readonly type: "snapshot-offer" }>,
    delay: number,
  ): void {
    const { weather, schedule } = this.#world;
    const luck = this.#links.luck(from.name, to.name);
    const image = from.disk.image(message.snapshot.handle);
    const fromLife = from.life;
    let reported = false;
    const report = (result: "delivered" | "failed") => {
      if (reported || from.life !== fromLife) return;
      reported = true;
      from.event((raft) => raft.reportSnapshot(message.to, result));
    };
    const { life } = to;
    const time = delay + IMAGE_FACTOR * luck.between(...weather.delay);
    const wholly = image !== undefined && !luck.chance(4 * weather.loss);
    this.carry(
      from,
      to,
      () => {
        if (!wholly || to.raft === undefined || to.life !== life || to.id !== message.to) return;
        to.note(3, () => `      ${describe(message)}`);
        to.receiveOffer(message, image);
        this.carry(to, from, () => report("delivered"));
      },
      time,
    );
    // Whatever came of it, the core is told in the end.
    schedule.after(time + 300, () => report("failed"));
  }
}

/** Nobody may change what was sent: the receiver holds the very same objects. */
export function freeze(message: Message<unknown>): void {
  Object.freeze(message);
  if (message.type !== "append-request") return;
  Object.freeze(message.entries);
  for (const entry of message.entries) Object.freeze(entry);
}
