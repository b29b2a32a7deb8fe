/**
 * Plays a script: a text of comments (`#`), commands (`>`) and, below each command, what it printed
 * when it was last written. {@link play} gives the text back with what it prints now. The commands
 * are listed in docs/raft.md.
 */
import type { MembershipChange, Outcome, Raft, StableConfiguration } from "../../../src/raft/index.ts";
import type { DiskStart } from "../harness/disk.ts";
import { LIMITS, log, type Overrides, TIMING } from "../harness/replica.ts";
import { type Link, Stage } from "./stage.ts";
import { membersLine, progressLine, stateLine } from "./words.ts";

/** How far time moves between two deliveries of `run`. */
const RUN_STEP_MS = 25;

export function play(text: string, name: string): string {
  const player = new Player();
  const lines = text.split("\n").flatMap((line, place): readonly string[] => {
    if (line === "" || line.startsWith("#")) return [line];
    if (!line.startsWith("> ")) return [];
    try {
      return [line, ...player.perform(line.slice(2).split(" "))];
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`${name}:${place + 1}: ${line}: ${reason}`, { cause: error });
    }
  });
  return lines.join("\n");
}

class Player {
  #stage: Stage | undefined;

  get #on(): Stage {
    if (this.#stage === undefined) throw new Error("a scenario begins with its group");
    return this.#stage;
  }

  perform([verb = "", ...words]: readonly string[]): readonly string[] {
    const [id = "", ...rest] = words;
    switch (verb) {
      case "group":
        this.#stage = new Stage(membersIn(words));
        return [];
      case "option":
        this.#on.configure(optionIn(words));
        return [];
      case "start":
        return this.#start(words);
      case "crash":
        for (const name of words) this.#on.crash(name);
        return [];
      case "campaign":
        return this.#ask(id, (raft) => {
          raft.campaign();
          return undefined;
        });
      case "propose":
        return this.#ask(id, (raft) => raft.propose(...rest));
      case "read":
        return this.#ask(id, (raft) => raft.readIndex(one(rest)));
      case "transfer":
        return this.#ask(id, (raft) => raft.transferLeadership(one(rest)));
      case "change":
        return this.#ask(id, (raft) => raft.proposeMembership(changesIn(rest)));
      case "snapshot":
        return this.#snapshot(id, Number(one(rest)));
      case "report":
        return this.#report(id, rest);
      case "pass":
        return this.#pass(words);
      case "run":
        return this.#run(Number(one(words)));
      case "deliver":
        return linksIn(words).flatMap((link) => this.#on.deliver(link));
      case "elect":
        return this.#elect(id);
      case "drop":
        return linksIn(words).flatMap((link) => this.#on.drop(link));
      case "settle":
        return this.#on.settle();
      case "cut":
        this.#on.cut(linksIn(words));
        return [];
      case "delay":
        return linksIn(words).flatMap((link) => this.#on.delay(link));
      case "catch-up":
        return this.#on.catchUp();
      case "heal":
        this.#on.heal();
        return [];
      case "quietly":
        return this.#quietly(words);
      case "state":
        return Array.from(this.#on.replicas.values(), (replica) =>
          stateLine(replica, this.#on.isDown(replica.id)),
        );
      case "members":
        return this.#on.running.map((name) => membersLine(this.#on.get(name)));
      case "progress":
        return Array.from(this.#on.get(id).leading.progress, ([peer, progress]) =>
          progressLine(peer, progress),
        );
      default:
        throw new Error(`there is no command "${verb}"`);
    }
  }

  #ask(id: string, input: (raft: Raft<string>) => Outcome | undefined): readonly string[] {
    return this.#on.event(id, input).map((effect) => `${id} ${effect}`);
  }

  /** `start a b log 1 1 2 term 3 vote c commit 2`, or `start d waiting` for one to be added. */
  #start(words: readonly string[]): readonly string[] {
    const sections = sectionsOf(words, ["log", "term", "vote", "commit", "waiting"]);
    const names = sections.get("") ?? [];
    const entries = log(...(sections.get("log") ?? []).map(Number));
    const [vote] = sections.get("vote") ?? [];
    const hardState = {
      term: Number(sections.get("term")?.[0] ?? entries.at(-1)?.term ?? 0),
      commit: Number(sections.get("commit")?.[0] ?? 0),
      ...(vote !== undefined && { vote }),
    };
    const start: DiskStart = { entries, hardState };
    for (const name of names) this.#on.start(name, { ...start, waiting: sections.has("waiting") });
    return [];
  }

  /** An election of which nothing is to be told. */
  #elect(id: string): readonly string[] {
    this.perform(["campaign", id]);
    this.#on.settle();
    const { term } = this.#on.get(id).leading;
    return [`${id} leads term ${term}`];
  }

  /** Takes an image at an index and cuts the log there. */
  #snapshot(id: string, at: number): readonly string[] {
    const replica = this.#on.get(id);
    replica.snapshot(at, at);
    return [stateLine(replica, false)];
  }

  #report(id: string, [peer = "", result]: readonly string[]): readonly string[] {
    if (result === "delivered" || result === "failed") {
      return this.#ask(id, (raft) => {
        raft.reportSnapshot(peer, result);
        return undefined;
      });
    }
    if (result !== "unreachable") throw new Error("delivered, failed or unreachable?");
    return this.#ask(id, (raft) => {
      raft.reportUnreachable(peer);
      return undefined;
    });
  }

  /** Time moves on at once, and those named, or else all, do what has fallen due. */
  #pass([duration, ...names]: readonly string[]): readonly string[] {
    const stage = this.#on;
    stage.now += Number(duration);
    return (names.length > 0 ? names : stage.running).flatMap((id) => this.#ask(id, () => undefined));
  }

  /** Time moves on in small steps, and everything arrives. */
  #run(duration: number): readonly string[] {
    const stage = this.#on;
    const lines: string[] = [];
    for (let passed = 0; passed < duration; passed += RUN_STEP_MS) {
      lines.push(...this.#pass([String(RUN_STEP_MS)]), ...stage.settle());
    }
    return lines;
  }

  #quietly(words: readonly string[]): readonly string[] {
    const { delivered, lost } = this.#on;
    this.perform(words);
    return [`(${this.#on.delivered - delivered} messages delivered, ${this.#on.lost - lost} lost)`];
  }
}

function one([word, ...others]: readonly string[]): string {
  if (word === undefined || others.length > 0) throw new Error("one word is wanted here");
  return word;
}

/** `a b c (d)` for three voters and a learner. */
function membersIn(words: readonly string[]): StableConfiguration {
  const learners = words.filter((word) => word.startsWith("("));
  const voters = words.filter((word) => !word.startsWith("("));
  return { type: "stable", voters, learners: learners.map((word) => word.slice(1, -1)) };
}

function optionIn([name, value]: readonly string[]): Overrides {
  switch (name) {
    case "pre-vote":
      return { preVote: value === "on" };
    case "check-quorum":
      return { checkQuorum: value === "on" };
    case "forwarding":
      return { forwardRequests: value === "on" };
    case "quiesce-after":
      return { timing: { ...TIMING, quiesceAfter: Number(value) } };
    case "message-bytes":
      return { limits: { ...LIMITS, messageBytes: Number(value) } };
    default:
      throw new Error(`there is no option "${name}"`);
  }
}

/** `promote d remove a`. */
function changesIn(words: readonly string[]): readonly MembershipChange[] {
  const changes: MembershipChange[] = [];
  for (let place = 0; place < words.length; place += 2) {
    const [type, replica = ""] = words.slice(place, place + 2);
    if (type !== "add-learner" && type !== "promote" && type !== "demote" && type !== "remove") {
      throw new Error(`there is no change "${type}"`);
    }
    changes.push({ type, replica });
  }
  return changes;
}

/** `a>b`, `a>` for all from a, `>b` for all to b, `a<>b` for both directions, `a` for all that a has; none for every link. */
function linksIn(words: readonly string[]): readonly Link[] {
  if (words.length === 0) return [{ from: undefined, to: undefined }];
  return words.flatMap((word): readonly Link[] => {
    const named = (name: string | undefined) => (name === "" ? undefined : name);
    const [a, b] = word.split(/<?>/).map(named);
    if (word.includes("<>"))
      return [
        { from: a, to: b },
        { from: b, to: a },
      ];
    if (word.includes(">")) return [{ from: a, to: b }];
    return [
      { from: a, to: undefined },
      { from: undefined, to: a },
    ];
  });
}

/** The words behind each keyword; what comes first stands behind `""`. */
function sectionsOf(
  words: readonly string[],
  keywords: readonly string[],
): ReadonlyMap<string, readonly string[]> {
  const sections = new Map<string, string[]>([["", []]]);
  let current = "";
  for (const word of words) {
    if (keywords.includes(word)) {
      current = word;
      sections.set(current, []);
    } else sections.get(current)?.push(word);
  }
  return sections;
}
