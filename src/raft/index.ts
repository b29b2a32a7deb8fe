/** The Raft core: the contract, and the one function that brings a replica to life. */
export { createRaft } from "./core.ts";
export type { BarrierEntry, CommandEntry, ConfigurationEntry, Entry, EntryHeader } from "./entries.ts";
export type {
  Configuration,
  JointConfiguration,
  Membership,
  MembershipChange,
  StableConfiguration,
} from "./membership.ts";
export type {
  AppendOutcome,
  AppendRequest,
  AppendResponse,
  Envelope,
  Forward,
  Heartbeat,
  HeartbeatResponse,
  Message,
  PreVoteRequest,
  PreVoteResponse,
  ReadGrant,
  SnapshotOffer,
  TermEnvelope,
  TimeoutNow,
  VoteRequest,
  VoteResponse,
} from "./messages.ts";
export type { Limits, RaftOptions, Timing } from "./options.ts";
export { isQuorum, isVoter, majorityOf, replicasOf, votersOf } from "./quorum.ts";
export type { Raft } from "./raft.ts";
export type { Advance, Persist, Ready } from "./ready.ts";
export type { Outcome, ReadId, ReadResult, Refusal } from "./requests.ts";
export type {
  CandidateStatus,
  FollowerStatus,
  LeaderStatus,
  Progress,
  Status,
  TraceEvent,
} from "./status.ts";
export type { HardState, LogReader, RestoredState, SnapshotDescriptor } from "./storage.ts";
export type { LogIndex, LogPosition, Millis, ReplicaId, Round, Term } from "./vocabulary.ts";
