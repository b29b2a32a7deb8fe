/**
 * A replica's birth as it happens: who it is, which founding it holds, and the questions to the others that bring it
 * there. What is to be done is decided in birth.ts; here it is stored before it is told.
 */
import { type Configuration, replicaNames } from "../api/configuration.ts";
import { birth, type Founding, type Introduction } from "./birth.ts";
import { checkVersion, FORMAT_VERSION } from "./codec.ts";
import { idOf, incarnationOf, nameOf } from "./names.ts";
import type { Declined } from "./rpc.ts";
import type { Store } from "./store.ts";
import type { ReplicaNamespace } from "./stubs.ts";

const CALL_TIMEOUT_MS = 2000;

/** A founding, as it is sent. */
export interface Told extends Founding {
  /** The incarnation under which the group knows whoever is told. */
  readonly known_as?: string;
}

export interface FounderOptions {
  readonly name: string;
  readonly configuration: Configuration;
  readonly store: Store;
  readonly namespace: ReplicaNamespace;
  readonly now: () => number;
  /** Peers neither hear nor are heard, or nothing is to happen at all. */
  readonly silenced: () => boolean;
  /** The replica has just got its founding. */
  readonly born: () => void;
  readonly log: (text: string) => void;
}

export class Founder {
  readonly #options: FounderOptions;
  readonly incarnation: string;
  #founding: Founding | undefined;
  /** Why this replica is not part of the group, in words. */
  #waiting: { readonly code: "not-founded" | "storage-lost" | "removed"; readonly reason: string } = {
    code: "not-founded",
    reason: "the founding has begun",
  };
  #inquiring = false;
  #inquiredAt = Number.NEGATIVE_INFINITY;
  /** Incarnations that were told of the founding, and from when on they may be told again. */
  readonly #told = new Map<string, number>();

  /** On its first event a replica stores its name and a random incarnation. */
  constructor(options: FounderOptions) {
    this.#options = options;
    const { name, store, log } = options;
    this.#founding = store.state("founding");
    let identity = store.state("identity");
    if (!identity) {
      const bytes = crypto.getRandomValues(new Uint8Array(8));
      const incarnation = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
      identity = { v: FORMAT_VERSION, name, incarnation };
      store.setState("identity", identity);
      log(`birth: new replica incarnation=${incarnation}`);
    }
    this.incarnation = identity.incarnation;
    const former = store.state("former");
    if (former && !this.#founding) {
      const reason =
        `removed: this replica took part in founding ${former.founding_id} as incarnation ${former.incarnation}; ` +
        "an operator may add it again";
      this.#waiting = { code: "removed", reason };
    }
  }

  get founding(): Founding | undefined {
    return this.#founding;
  }

  /** This replica's Raft identity. */
  get id(): string {
    return idOf({ name: this.#options.name, incarnation: this.incarnation });
  }

  get waitingFor(): string | undefined {
    return this.#founding ? undefined : this.#waiting.reason;
  }

  /** The answer to whoever asks a replica that is not part of the group. */
  get declined(): Declined {
    return {
      type: "unavailable",
      code: this.#waiting.code,
      detail: this.#waiting.reason,
      retry_after_ms: this.#options.configuration.recovery_retry_ms,
    };
  }

  get introduction(): Introduction {
    const { name } = this.#options;
    return {
      v: FORMAT_VERSION,
      name,
      incarnation: this.incarnation,
      ...(this.#founding ? { founding: this.#founding } : {}),
    };
  }

  /** Asks the others who they are, at most once per retry interval; the first replica goes on until it has founded. */
  async inquire(): Promise<void> {
    const { name, configuration, now, silenced } = this.#options;
    const { recovery_retry_ms } = configuration;
    // A founding never changes: whoever has lost its storage, or was removed, learns nothing by asking again.
    const settled = this.#founding !== undefined || this.#waiting.code !== "not-founded";
    if (settled || this.#inquiring || silenced() || now() - this.#inquiredAt < recovery_retry_ms) return;
    this.#inquiring = true;
    this.#inquiredAt = now();
    const names = replicaNames(configuration);
    const others = names.filter((other) => other !== name);
    const answers = await Promise.all(others.map((other) => this.#introductionOf(other)));
    this.#inquiring = false;
    if (this.#founding) return;
    if (silenced()) {
      this.#inquiredAt = Number.NEGATIVE_INFINITY;
      return;
    }
    this.#consider(answers.flatMap((answer) => answer ?? []));
    const goesOn = !this.#founding && this.#waiting.code === "not-founded" && name === names[0];
    if (goesOn) setTimeout(() => void this.inquire(), recovery_retry_ms + 1);
  }

  /** Somebody who holds a founding has sent it. */
  hear({ known_as, ...founding }: Told): void {
    checkVersion("a founding", founding);
    if (this.#waiting.code === "removed" || this.#founding) return;
    const founder = founding.members.some((member) => member.name === this.#options.name);
    // One that was added later stands in no founding, but its group knows it.
    if (known_as !== undefined && known_as !== this.incarnation && !founder) this.#lost(known_as);
    else this.#consider([{ v: FORMAT_VERSION, name: "", incarnation: "", founding }]);
  }

  /** The leader takes this replica in, whoever it was before. */
  join(founding: Founding): void {
    if (!this.#founding) this.#hold(founding, "joined");
  }

  /** Sends the founding to the blank replica in the place of `id`; if that is another one, it learns that it has lost its storage. */
  async inform(id: string, incarnation: string): Promise<void> {
    const { configuration, namespace, now, silenced, log } = this.#options;
    const founding = this.#founding;
    const again = this.#told.get(incarnation);
    if (!founding || silenced() || (again !== undefined && now() < again)) return;
    const name = nameOf(id);
    const known_as = incarnationOf(id);
    const lost = known_as !== incarnation;
    if (lost && again === undefined) {
      log(
        `birth: ${name} answers as incarnation ${incarnation}, the group knows ${known_as}: it lost its storage`,
      );
    }
    this.#told.set(incarnation, now() + configuration.recovery_retry_ms);
    const told: Told = { ...founding, known_as };
    try {
      await namespace.ask(name, "/peer/found", JSON.stringify(told), CALL_TIMEOUT_MS);
      // Whoever has lost its storage knows it from then on: nothing is new to it.
      if (lost) this.#told.set(incarnation, Number.POSITIVE_INFINITY);
    } catch {
      // It is told again when it answers a message as blank.
    }
  }

  async #introductionOf(name: string): Promise<Introduction | undefined> {
    try {
      const { namespace } = this.#options;
      const introduction = JSON.parse(
        await namespace.ask(name, "/peer/hello", "{}", CALL_TIMEOUT_MS),
      ) as Introduction;
      checkVersion(`introduction of ${name}`, introduction);
      return introduction;
    } catch {
      // No answer is an answer: the founding waits for this replica, and health says so.
      return undefined;
    }
  }

  #consider(answers: readonly Introduction[]): void {
    if (this.#founding) return;
    const { name, configuration } = this.#options;
    const { cluster_id } = configuration;
    const self = { name, incarnation: this.incarnation, cluster_id };
    const decision = birth(self, replicaNames(configuration), answers);
    switch (decision.type) {
      case "wait":
        this.#wait("not-founded", decision.reason);
        break;
      case "lost":
        this.#lost(decision.known_as);
        break;
      case "adopt":
        this.#hold(decision.founding, "joined");
        break;
      case "found": {
        const founding_id = crypto.randomUUID();
        // Stored first: the platform holds the messages to the others back until it is durable.
        this.#hold({ v: FORMAT_VERSION, cluster_id, founding_id, members: decision.members }, "founded");
        for (const member of decision.members) {
          if (member.name !== name) void this.inform(idOf(member), member.incarnation);
        }
        break;
      }
    }
  }

  #lost(known_as: string): void {
    this.#wait(
      "storage-lost",
      `storage lost: the group knows this replica as incarnation ${known_as}, ` +
        "and its log is gone; an operator must replace it",
    );
  }

  #wait(code: "not-founded" | "storage-lost", reason: string): void {
    if (this.#waiting.reason !== reason) this.#options.log(`birth: ${reason}`);
    this.#waiting = { code, reason };
  }

  #hold(founding: Founding, how: "joined" | "founded"): void {
    const { store, born, log } = this.#options;
    store.setState("founding", founding);
    this.#founding = founding;
    log(`birth: ${how} founding_id=${founding.founding_id} members=${founding.members.length}`);
    born();
  }
}
