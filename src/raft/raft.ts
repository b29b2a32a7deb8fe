/**
 * A Raft replica as a pure state machine.
 *
 * The core owns the protocol and nothing else. It performs no I/O, starts no timer, reads no clock
 * and rolls no dice of its own: given the same options and the same sequence of calls it produces
 * the same sequence of {@link Ready} batches. Everything with a side effect belongs to the *host*,
 * which feeds inputs in (messages, time, requests) and carries batches out (write, send, apply).
 *
 * ```ts
 * raft.tick(now)                                // 1. time first, always
 * raft.step(message)                            // 2. then whatever happened
 * for (let ready; (ready = raft.takeReady()); ) {
 *   send(ready.sendNow)                         // 3. may overlap the write
 *   database.transaction(() => {                // 4. one atomic, durable write
 *     write(ready.persist)
 *     apply(ready.committed)
 *   })
 *   raft.advance({ persisted: ready.sequence, applied: lastIndexOf(ready.committed) })
 *   send(ready.sendAfterPersist)                // 5. only once step 4 is durable
 *   answer(ready.reads)
 * }
 * scheduleNextTick(raft.wakeAt)                 // 6. `undefined` means: sleep until called
 * ```
 *
 * The order in which a host must write, send and apply is normative; see {@link Ready}.
 *
 * @packageDocumentation
 */
import type { JointConfiguration, MembershipChange } from "./membership.ts";
import type { Message, SnapshotOffer } from "./messages.ts";
import type { Advance, Ready } from "./ready.ts";
import type { Outcome, ReadId } from "./requests.ts";
import type { Status } from "./status.ts";
import type { SnapshotDescriptor } from "./storage.ts";
import type { LogIndex, Millis, ReplicaId } from "./vocabulary.ts";

export interface Raft<Command> {
  /**
   * Move the clock to `now` and do whatever has fallen due. Call it when {@link wakeAt} is reached
   * and before any other input that arrives later than the last tick.
   */
  tick(now: Millis): void;

  /**
   * Take in a message from another replica. Never throws for anything a peer could have sent: what
   * cannot be true (a second leader of a term, entries that deny committed ones) is dropped.
   */
  step(message: Message<Command>): void;

  /**
   * Append commands here, or pass them to the leader. All are accepted together or none is. The
   * position answered is that of the last one; the others stand directly before it, in order.
   */
  propose(...commands: readonly Command[]): Outcome;

  /**
   * Change the membership. A single vote gained or lost takes one entry; more than one goes
   * through a joint configuration. One change at a time, and none before the leader has committed
   * an entry of its own term.
   */
  proposeMembership(
    changes: readonly MembershipChange[],
    options?: { readonly leave?: JointConfiguration["leave"] },
  ): Outcome;

  /** Append the stable configuration that a joint one with `leave: "explicit"` leads to. */
  leaveJointConfiguration(): Outcome;

  /** Ask for an index that makes a read linearizable; see {@link Ready.reads}. */
  readIndex(id: ReadId): Outcome;

  /**
   * Hand leadership to `successor` once its log is complete. Proposals are refused meanwhile. If
   * the successor has not taken over within `timing.loyalty` this replica carries on leading.
   */
  transferLeadership(successor: ReplicaId): Outcome;

  /** Campaign now, through a pre-vote if that is on. Has no effect on a leader or a learner. */
  campaign(): void;

  /**
   * Something that the host does goes on, though nothing is proposed or read: the group stays awake,
   * or wakes, and a leader proposes silence no sooner than `timing.quiesceAfter` from now.
   */
  stayAwake(): void;

  /** A message to `peer` could not be delivered: stop streaming to it and probe. */
  reportUnreachable(peer: ReplicaId): void;

  /**
   * How the transfer announced by a {@link SnapshotOffer} ended. Must be called for every offer,
   * including one whose receiver vanished; otherwise that peer receives nothing further (unless
   * `timing.snapshotTimeout` is set). A failed transfer is offered again once the peer is heard.
   */
  reportSnapshot(peer: ReplicaId, result: "delivered" | "failed"): void;

  /**
   * The position and configuration with which to label an image of the state machine at `at`: no
   * further than entries were handed out, and not before the newest snapshot.
   */
  describeSnapshot(at: LogIndex, handle: string): SnapshotDescriptor;

  /**
   * An image is durable and may be offered to followers. From now on the host may delete any
   * prefix of its log up to `snapshot.last.index`; the core learns of it through the log reader.
   */
  snapshotTaken(snapshot: SnapshotDescriptor): void;

  /**
   * The next batch of work, or `undefined` if there is none. Each batch is returned once. What a
   * leader sends is decided here: hand over everything that waits, then take the batch, and it
   * travels in one append per follower.
   */
  takeReady(): Ready<Command> | undefined;

  /** Report finished work. Reporting the same or less again has no effect. */
  advance(done: Advance): void;

  /** The instant at which {@link tick} must next be called; `undefined` while nothing is due. */
  readonly wakeAt: Millis | undefined;

  /** A snapshot of what the replica believes. Costs no more than the size of the membership. */
  readonly status: Status;
}
