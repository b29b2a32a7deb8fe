/** Faults in changes of membership and in handing leadership over. */
import { type Mutation, test } from "../mutation.ts";

const TESTS = "membership.test.ts";
const TRANSFERS = "transfers.test.ts";

export const membership: readonly Mutation[] = [
  {
    id: "transfer-during-change",
    traps: [21],
    fault: "leadership is handed over while a change of membership is pending",
    file: "transfers.ts",
    before: "  if (refusal !== undefined) return refused(refusal);\n",
    after: "",
    killer: test(TRANSFERS, "trap 21: is refused while a change is pending or the term is not established"),
  },
  {
    id: "transfer-to-stale",
    traps: [21],
    fault: "leadership is handed over to a replica that is far behind",
    file: "transfers.ts",
    before: "if (!leadership.keepsUp(successor, now)) {",
    after: "if (leadership.matchedBy(successor) < 0) {",
    killer: test(
      TRANSFERS,
      "trap 21: is refused towards a replica that is behind, votes not, or leads already",
    ),
  },
  {
    id: "successor-not-durable",
    traps: [21],
    fault: "a successor campaigns with a log that a crash could shorten",
    file: "transfers.ts",
    before: "if (index > log.durable || log.termAt(index) !== term) return;",
    after: "if (log.termAt(index) !== term) return;",
    killer: test(
      TRANSFERS,
      "trap 21: is ignored by a successor that does not hold durably what was expected",
    ),
  },
  {
    id: "successor-urged-early",
    traps: [21],
    fault: "a successor is asked to campaign before its log is complete",
    file: "leadership.ts",
    before: "if (transfer === undefined || this.matchedBy(transfer.successor) < log.last.index) return;",
    after: "if (transfer === undefined) return;",
    killer: test(TRANSFERS, "waits until the successor holds the whole log"),
  },
  {
    id: "proposals-during-transfer",
    traps: [21],
    fault: "proposals are taken while leadership is handed over",
    file: "serving.ts",
    before: '  if (successor !== undefined) return refused({ type: "transferring", successor });\n',
    after: "",
    killer: test(TRANSFERS, "refuses proposals and changes meanwhile, and names the successor"),
  },
  {
    id: "endless-transfer",
    traps: [22],
    fault: "a transfer to a successor that cannot be reached never ends",
    file: "leadership.ts",
    before: "until: now + this.#reign.timing.loyalty };",
    after: "until: Number.POSITIVE_INFINITY };",
    killer: test(
      TRANSFERS,
      "trap 22: to a successor that cannot be reached is given up when loyalty has passed, not before",
    ),
  },
  {
    id: "unestablished-change",
    traps: [23],
    fault: "the membership is changed before an entry of the leader's own term is committed",
    file: "leadership.ts",
    before: '    if (!this.isEstablished) return { type: "term-not-established" };\n',
    after: "",
    killer: test(TESTS, "trap 23: before the leader has committed an entry of its own term"),
  },
  {
    id: "unestablished-leave",
    traps: [23],
    fault: "a joint configuration is left before an entry of the leader's own term is committed",
    file: "reconfiguring.ts",
    before: 'if (role.type !== "leader" || !role.leadership.isEstablished) return;',
    after: 'if (role.type !== "leader") return;',
    killer: test(TESTS, "trap 23: are not left by a new leader before an entry of its own term is committed"),
  },
  {
    id: "two-changes",
    traps: [24],
    fault: "a second change is made while the first is not committed",
    file: "leadership.ts",
    before: '    if (configurations.index > log.commit) return { type: "change-in-progress" };\n',
    after: "",
    killer: test(TESTS, "trap 24: while the one before is not committed"),
  },
  {
    id: "learner-counted",
    traps: [25],
    fault: "a learner's acknowledgement counts towards commitment",
    file: "quorum.ts",
    before:
      "  for (const { voters } of membershipsOf(configuration)) {\n    const descending = voters.map(reachedBy)",
    after:
      "  for (const { voters, learners } of membershipsOf(configuration)) {\n    const descending = [...voters, ...learners].map(reachedBy)",
    killer: test(TESTS, "trap 25: is counted neither for commitment nor for an election"),
  },
  {
    id: "learner-refuses-vote",
    traps: [25],
    fault: "a learner refuses its vote, also if it was promoted and does not know it yet",
    file: "elections.ts",
    before:
      "function mayGrant<Command>({ configuration, log }: ReplicaState<Command>, candidate: LogPosition): boolean {\n  return configuration !== undefined && ",
    after:
      "function mayGrant<Command>({ mayCampaign, log }: ReplicaState<Command>, candidate: LogPosition): boolean {\n  return mayCampaign && ",
    killer: test(
      TESTS,
      "trap 25: votes for the only electable candidate though it does not know of its promotion",
    ),
  },
  {
    id: "hasty-promotion",
    traps: [26],
    fault: "a learner is promoted however far behind it is",
    file: "reconfiguring.ts",
    before: 'if (type === "promote" && !leadership.keepsUp(replica, state.now)) {',
    after: 'if (type === "promote" && leadership.matchedBy(replica) < 0) {',
    killer: test(TESTS, "trap 26: is not promoted while its log trails too far"),
  },
  {
    id: "promotion-of-slow",
    traps: [26],
    fault: "a learner is promoted to which not even all that is committed was sent",
    file: "progress.ts",
    before: 'if (this.#type !== "replicate" || this.next <= commit) return false;',
    after: 'if (this.#type !== "replicate") return false;',
    killer: test(
      TESTS,
      "trap 26: is not promoted while its window is full and more is committed than was sent to it",
    ),
  },
  {
    id: "joint-left-by-proposer",
    traps: [27],
    fault: "a joint configuration is left only by the leader that began it",
    file: "reconfiguring.ts",
    before: 'if (configuration.type === "joint" && configuration.leave === "automatic") {',
    after:
      'if (configuration.type === "joint" && state.log.termAt(state.configurations.index) !== state.term) return;\n  if (configuration.type === "joint" && configuration.leave === "automatic") {',
    killer: test(TESTS, "trap 27: are completed by any leader when theirs dies in between (%s)"),
  },
  {
    id: "joint-left-early",
    traps: [24, 28],
    fault: "a configuration takes its consequences before it is committed",
    file: "reconfiguring.ts",
    before: "if (configuration === undefined || state.configurations.index > state.log.commit) return;",
    after: "if (configuration === undefined) return;",
    killer: test(
      TESTS,
      "trap 28: a leader that removes itself serves until that commits, does not count itself, then goes",
    ),
  },
  {
    id: "one-majority-of-joint",
    traps: [24],
    fault: "a joint configuration elects with one of its two majorities",
    file: "quorum.ts",
    before: "  return membershipsOf(configuration).every(\n",
    after: "  return membershipsOf(configuration).some(\n",
    killer: test("quorum.test.ts", "of two memberships at once is a majority of each"),
  },
  {
    id: "removed-leader-stays",
    traps: [28],
    fault: "a leader that removed itself never steps down",
    file: "reconfiguring.ts",
    before:
      "  } else if (!isVoter(configuration, id)) {\n    state.becomeFollower(state.term, undefined);\n  }\n",
    after: "  }\n",
    killer: test(
      TESTS,
      "trap 28: a leader that removes itself serves until that commits, does not count itself, then goes",
    ),
  },
  {
    id: "removed-leader-counts",
    traps: [28],
    fault: "a leader that removes itself still counts itself",
    file: "peers.ts",
    before: "    return quorumReached(this.#configuration, (voter) => {\n",
    after:
      '    const force = this.#configuration;\n    const counted = force.type === "stable" && !this.votes(this.#id);\n    const all = counted ? { ...force, voters: [...force.voters, this.#id] } : force;\n    return quorumReached(all, (voter) => {\n',
    killer: test(
      TESTS,
      "trap 28: a leader that removes itself serves until that commits, does not count itself, then goes",
    ),
  },
  {
    id: "configuration-not-rolled-back",
    traps: [29],
    fault: "a configuration stays in force although its entry was overwritten",
    file: "appending.ts",
    before: "let reconfigured = replaced && configurations.truncateFrom(first.index);",
    after: "let reconfigured = false;",
    killer: test(
      TESTS,
      "trap 29: of an overwritten entry is undone: the votes and timers of the one before are back",
    ),
  },
  {
    id: "timer-not-rolled-back",
    traps: [29],
    fault: "a replica that votes again, since its removal was overwritten, never campaigns",
    file: "appending.ts",
    before: "  if (!reconfigured) return;\n  state.waitForLeader();\n",
    after: "  if (!reconfigured) return;\n",
    killer: test(
      TESTS,
      "trap 29: of an overwritten entry is undone: the votes and timers of the one before are back",
    ),
  },
  {
    id: "removed-still-heard",
    traps: [28],
    fault: "a leader goes on replicating to whom it removed",
    file: "peers.ts",
    before: "      if (!members.includes(peer)) this.#progress.delete(peer);\n",
    after: "",
    killer: test(TESTS, "by removal ends replication; what the removed replica says no longer counts"),
  },
];
