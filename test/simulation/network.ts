/**
 * The network between processes: messages are lost, repeated, late and out of order; links are slow,
 * or down in one direction or both. What a host has to say outside the protocol (who are you, here is
 * the founding, an image) takes the same way.
 */
import type { Message } from "../../src/raft/index.ts";
import type { Host, Surroundings } from "./host.ts";
import type { Command } from "./machine.ts";
import { describe } from "./transcript.ts";

/** How long an image takes, per message delay. */
const IMAGE_FACTOR = 8;

export class Network {
  readonly #world: Surroundings;
  readonly #hosts: readonly Host[];
  /** By sender and receiver. */
  readonly #cut = new Set<number>();
  readonly #slow = new Map<number, number>();
  /** Nothing of this kind gets through. */
  muted: "requests" | "responses" | undefined;

  constructor(world: Surroundings, hosts: readonly Host[]) {
    this.#world = world;
    this.#hosts = hosts;
  }

  cut(from: Host, to: Host): void {
    this.#cut.add(link(from, to));
  }

  slow(from: Host, to: Host, by: number): void {
    this.#slow.set(link(from, to), by);
  }

  /** Cuts every link between `group` and the others, or only what comes from it. */
  isolate(group: readonly Host[], oneWay: boolean): void {
    for (const inside of group) {
      for (const outside of this.#hosts) {
        if (group.includes(outside)) continue;
        this.cut(inside, outside);
        if (!oneWay) this.cut(outside, inside);
      }
    }
  }

  heal(): void {
    this.#cut.clear();
    this.#slow.clear();
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
    const { muted } = this;
    const answers = message.type.endsWith("-response");
    const mute = muted !== undefined && (muted === "responses") === answers;
    const { handling } = this.#world.knobs;
    if (handling === "frozen") freeze(message);
    const carried = handling === "text" ? (JSON.parse(JSON.stringify(message)) as typeof message) : message;
    const arrived = this.carry(
      from,
      to,
      () => {
        if (to.id === message.to) to.event((raft) => this.#step(raft, carried, to));
      },
      delay,
      mute,
    );
    if (!arrived && this.#world.luck.chance(0.1)) {
      this.#world.schedule.after(20, () => from.event((raft) => raft.reportUnreachable(message.to)));
    }
  }

  #step(raft: { step(message: Message<Command>): void }, message: Message<Command>, to: Host): void {
    to.note(2, () => `      ${describe(message)}`);
    raft.step(message);
  }

  /** Lets something happen at `to` when what `from` says arrives; false if it never does. */
  carry(from: Host, to: Host, arrive: () => void, delay = 0, mute = false): boolean {
    const { luck, weather, schedule, figures } = this.#world;
    const key = link(from, to);
    figures.sent += 1;
    if (mute || this.#cut.has(key) || luck.chance(weather.loss)) {
      figures.dropped += 1;
      return false;
    }
    let copies = 1;
    while (copies < 3 && luck.chance(weather.repetition)) copies += 1;
    figures.repeated += copies - 1;
    for (let copy = 0; copy < copies; copy += 1) {
      const slow = this.#slow.get(key) ?? 0;
      // A repetition may turn up long after everybody has forgotten the message.
      const late = luck.chance(weather.overtaken) ? 10 : copy > 0 && luck.chance(0.1) ? 50 : 1;
      const way = luck.between(...weather.delay) * late + luck.next() + slow;
      schedule.after(delay + way, () => {
        // What was on its way when a link broke may still arrive.
        if (this.#cut.has(key) && luck.chance(0.5)) figures.dropped += 1;
        else arrive();
      });
    }
    return true;
  }

  /** Moves the image first; the offer is stepped only where it is held. */
  #sendImage(
    from: Host,
    to: Host,
    message: Extract<Message<Command>, { readonly type: "snapshot-offer" }>,
    delay: number,
  ): void {
    const { luck, weather, schedule } = this.#world;
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

function link(from: Host, to: Host): number {
  return from.index * 64 + to.index;
}

/** Nobody may change what was sent: the receiver holds the very same objects. */
function freeze(message: Message<Command>): void {
  Object.freeze(message);
  if (message.type !== "append-request") return;
  Object.freeze(message.entries);
  for (const entry of message.entries) Object.freeze(entry);
}
