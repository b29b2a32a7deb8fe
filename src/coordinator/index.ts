/**
 * The replicated state machine: tasks, leases, workers and events. Pure and deterministic; imports nothing from outside
 * this folder.
 */
export type * from "./commands.ts";
export { type Applied, type Coordinator, createCoordinator } from "./coordinator.ts";
export type { Export, ExportLine, ExportPlace } from "./export.ts";
export type { FeedCursor, FeedPiece, FeedReader } from "./feed.ts";
export { createLiveness, type Liveness } from "./liveness.ts";
export type { MemberChange, MemberRole } from "./members.ts";
export { createMemoryRecords } from "./memory-records.ts";
export type * from "./outcomes.ts";
export { bootSuperseded, workerUnknown } from "./outcomes.ts";
export type * from "./records.ts";
export type * from "./tables.ts";
export { knows, versionOf } from "./versions.ts";
export type * from "./views.ts";
