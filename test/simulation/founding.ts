/**
 * How the group comes to be, over the same network and with the same deaths as everything else: the
 * decisions are those of `src/replica/birth.ts`, what is asked and told around them is simulated.
 */
import { birth, type Founding, type Introduction } from "../../src/replica/birth.ts";
import { Disk } from "./disk.ts";
import type { Host } from "./host.ts";
import type { Network } from "./network.ts";
import { Violation } from "./violation.ts";
import type { World } from "./world.ts";

const CLUSTER = "simulation";
const PATIENCE_MS = 80;

export class Foundings {
  readonly #world: World;
  readonly #network: Network;
  readonly #founders: readonly Host[];
  readonly #made: Founding[] = [];
  /** Lives that ask already. */
  readonly #inquiring = new Set<string>();

  constructor(world: World, network: Network, founders: readonly Host[]) {
    this.#world = world;
    this.#network = network;
    this.#founders = founders;
  }

  get made(): number {
    return this.#made.length;
  }

  /** Whether enough hold one founding, under the names in it, to elect a leader. */
  get founded(): Founding | undefined {
    const established = this.#made.filter(({ founding_id, members }) => {
      const holders = members.filter(({ name, incarnation }) =>
        this.#founders.some(
          (host) =>
            host.name === name &&
            String(host.incarnation) === incarnation &&
            host.founding?.founding_id === founding_id,
        ),
      );
      return 2 * holders.length > members.length;
    });
    if (established.length > 1) throw new Violation("a group is founded once", JSON.stringify(established));
    return established[0];
  }

  /** A blank process asks the others who they are, again and again. */
  inquire(host: Host): void {
    const { life } = host;
    if (!host.running || host.stage !== "blank") return;
    const answers = new Map<string, Introduction>();
    const others = this.#founders.filter((other) => other !== host);
    for (const other of others) {
      this.#network.carry(host, other, () => {
        if (!other.running) return;
        const introduction = introductionOf(other);
        this.#network.carry(other, host, () => answers.set(other.name, introduction));
        if (other.founding === undefined) this.inquireOnce(other);
        else if (introduction.founding !== undefined) this.#inform(other, host, introduction.founding);
      });
    }
    this.#world.schedule.after(PATIENCE_MS, () => {
      if (host.life !== life || !host.running || host.stage !== "blank") return;
      this.#consider(host, [...answers.values()]);
      if (host.stage === "blank") this.inquire(host);
    });
  }

  /** Somebody's question wakes a blank process, which asks in its turn if it does not already. */
  inquireOnce(host: Host): void {
    if (
      host.stage === "blank" &&
      this.#founders.includes(host) &&
      !this.#inquiring.has(`${host.id} ${host.life}`)
    ) {
      this.#inquiring.add(`${host.id} ${host.life}`);
      this.inquire(host);
    }
  }

  #inform(from: Host, to: Host, founding: Founding): void {
    this.#network.carry(from, to, () => {
      if (!to.running || to.stage !== "blank") return;
      this.#consider(to, [{ v: 1, name: "", incarnation: "", founding }]);
    });
  }

  #consider(host: Host, answers: readonly Introduction[]): void {
    const self = { name: host.name, incarnation: String(host.incarnation), cluster_id: CLUSTER };
    const names = this.#founders.map(({ name }) => name);
    const decision = birth(self, names, answers);
    host.note(30, () => `${host.id}: birth says ${decision.type}`);
    switch (decision.type) {
      case "wait":
        break;
      case "lost":
        host.stage = "lost";
        this.#world.figures.lost += 1;
        break;
      case "adopt":
        this.#hold(host, decision.founding);
        break;
      case "found": {
        const founding: Founding = {
          v: 1,
          cluster_id: CLUSTER,
          founding_id: `founding-${this.#made.length + 1}`,
          members: decision.members,
        };
        this.#made.push(founding);
        this.#world.figures.foundings += 1;
        this.#hold(host, founding);
        for (const other of this.#founders) if (other !== host) this.#inform(host, other, founding);
        break;
      }
    }
  }

  /** Stored first, then told: here storing takes no time, and dying comes before or after it. */
  #hold(host: Host, founding: Founding): void {
    const voters = founding.members.map(({ name, incarnation }) => `${name}.${incarnation}`);
    host.founding = founding;
    host.stage = "member";
    host.disk = new Disk({ type: "stable", voters, learners: [] });
    host.note(31, () => `${host.id} holds ${founding.founding_id}`);
    host.join();
  }
}

function introductionOf(host: Host): Introduction {
  return {
    v: 1,
    name: host.name,
    incarnation: String(host.incarnation),
    ...(host.founding !== undefined && { founding: host.founding }),
  };
}
