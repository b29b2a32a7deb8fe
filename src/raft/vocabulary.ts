/**
 * The words the rest of the protocol is written in. Plain aliases, so that a host can store and
 * compare them without conversion.
 */

/**
 * Names one replica holding one log, for ever. An identifier is never given to another replica,
 * nor to the same replica after its log was wiped: a replica that lost its log is a new replica.
 */
export type ReplicaId = string;

/** Numbers elections, and so the reigns that follow them. `0` is before the first. */
export type Term = number;

/** A place in the log. The first entry ever appended has index `1`; `0` is before it. */
export type LogIndex = number;

/** A duration or an instant in milliseconds, on the host's clock. Instants never go backwards. */
export type Millis = number;

/** Numbers the rounds in which a leader asks its followers to confirm that it still leads. */
export type Round = number;

/**
 * Identifies an entry: no two different entries ever share both term and index. Positions are
 * ordered by term first, then by index; that is the order in which one log is *more up to date*
 * than another.
 */
export interface LogPosition {
  readonly term: Term;
  readonly index: LogIndex;
}
