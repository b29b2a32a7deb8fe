/**
 * What the log is made of. An entry never changes once it was made: messages, batches and the log
 * share the same object, so a host may keep one encoding per entry.
 */
import type { Configuration } from "./membership.ts";
import type { LogPosition, Millis } from "./vocabulary.ts";

/** What every entry carries, whatever its kind. */
export interface EntryHeader extends LogPosition {
  /**
   * The leader's clock when it appended the entry, never less than its predecessor's. It gives
   * state machines a time that is the same on every replica, and bounds a former leader's lease.
   */
  readonly time: Millis;
}

/** An application command. The core never looks inside it; it asks only for its size. */
export interface CommandEntry<Command> extends EntryHeader {
  readonly type: "command";
  readonly command: Command;
}

/** A change of membership. Takes effect on a replica as soon as it is in that replica's log. */
export interface ConfigurationEntry extends EntryHeader {
  readonly type: "configuration";
  readonly configuration: Configuration;
}

/**
 * The entry with which a new leader opens its term. Committing it commits everything before it,
 * which is the only way entries of earlier terms ever become committed.
 */
export interface BarrierEntry extends EntryHeader {
  readonly type: "barrier";
}

export type Entry<Command> = CommandEntry<Command> | ConfigurationEntry | BarrierEntry;
