/** Faults in falling silent and waking up. */
import { type Mutation, test } from "../mutation.ts";

const TESTS = "silence.test.ts";

export const silence: readonly Mutation[] = [
  {
    id: "agrees-without-log",
    traps: [],
    fault: "a follower agrees to silence without holding what its leader holds",
    file: "silence.ts",
    before: "const holdsAll = commit === last.index && heartbeat.commit === last.index;",
    after: "const holdsAll = commit === heartbeat.commit;",
    killer: test(TESTS, "agrees only if it holds what the leader holds and knows all of it to be committed"),
  },
  {
    id: "silent-with-laggard",
    traps: [],
    fault: "a leader falls silent while a follower that is heard lacks entries",
    file: "leadership.ts",
    before: "return this.#heardLately(now).every(({ matched }) => matched === index);",
    after: "return true;",
    killer: test(TESTS, "stays awake while a follower that is heard lacks something"),
  },
  {
    id: "silence-against-followers",
    traps: [],
    fault: "a leader falls silent although a follower has said that it has something to do",
    file: "leadership.ts",
    before: "if (quiesced && round <= this.#rounds.newest)",
    after: "if (round <= this.#rounds.newest)",
    killer: test(TESTS, "stays awake while a follower has something to do"),
  },
  {
    id: "silence-over-reads",
    traps: [],
    fault: "a leader falls silent while a read waits for its round",
    file: "leadership.ts",
    before: "if (this.#transfer !== undefined || !this.reads.isEmpty) return false;",
    after: "if (this.#transfer !== undefined) return false;",
    killer: test(TESTS, "stays awake while a read waits for its round"),
  },
  {
    id: "silence-over-transfer",
    traps: [22],
    fault: "a leader falls silent while leadership is handed over",
    file: "leadership.ts",
    before: "if (this.#transfer !== undefined || !this.reads.isEmpty) return false;",
    after: "if (!this.reads.isEmpty) return false;",
    killer: test(TESTS, "stays awake while leadership is handed over, and so the transfer ends in time"),
  },
  {
    id: "agreement-outlives-event",
    traps: [36],
    fault: "agreement to silence counts although something has happened since",
    file: "leadership.ts",
    before: "if (silence === undefined || !this.#hasNothingToDo(now)) return false;",
    after: "if (silence === undefined) return false;",
    killer: test(
      TESTS,
      "goes on if it is asked for something in the same event in which the last follower agrees",
    ),
  },
  {
    id: "woken-by-echoes",
    traps: [36],
    fault: "a late or repeated message from before a silence ends it",
    file: "silence.ts",
    before: "message.round > (state.silentRound ?? BEFORE_ALL_ROUNDS)",
    after: "message.round >= BEFORE_ALL_ROUNDS",
    killer: test(
      TESTS,
      "not with a message from before it that arrives late or twice, or the group would never sleep",
    ),
  },
  {
    id: "deaf-sleeper",
    traps: [],
    fault: "a silent follower that its leader wakes does not wait for it again",
    file: "silence.ts",
    before: "  state.silentRound = undefined;\n  if (state.role.type",
    after: "  if (state.role.type",
    killer: test(TESTS, "with an append of the leader, and the follower waits for it again"),
  },
  {
    id: "sleeps-through-request",
    traps: [],
    fault: "a leader that was silent counts the time it slept as silence of its followers",
    file: "progress.ts",
    before:
      "    this.heardAt = now;\n    this.contactedAt = now - this.#timing.heartbeatInterval;\n  }\n\n  /** Something sent",
    after: "    this.contactedAt = now - this.#timing.heartbeatInterval;\n  }\n\n  /** Something sent",
    killer: test(TESTS, "at the leader with %s, which is served after any time"),
  },
];
