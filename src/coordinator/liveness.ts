/**
 * Which workers are alive and which leases they still work on, as far as the leader has heard: in its memory alone,
 * created anew when a replica begins to lead, so that every worker and every lease has one full period before anybody
 * is declared dead. It changes nothing by itself. It says what the leader should propose, and says it again only
 * after a third of a period, should the proposal not have come through.
 */
import { hasEnded } from "./attempts.ts";
import type { CommandBody } from "./commands.ts";
import type { Coordinator } from "./coordinator.ts";
import { Heap } from "./heap.ts";
import type { Refused } from "./outcomes.ts";
import { bootSuperseded, workerUnknown } from "./outcomes.ts";
import type { Instant, WorkerRecord, WorkerState } from "./records.ts";
import type { HeartbeatResult, LeaseView } from "./views.ts";

export interface Liveness {
  /**
   * A worker's heartbeat: directives for what it listed, and what the leader should propose. Refused when the worker
   * has to register (again).
   */
  heartbeat(
    beat: {
      readonly worker_id: string;
      readonly boot_id: string;
      readonly leases: readonly { readonly lease_id: string; readonly progress?: number }[];
    },
    now: Instant,
  ): { readonly result: HeartbeatResult; readonly propose: readonly CommandBody[] } | Refused;
  /** Another sign of life of a worker that is registered: a pull. It does not extend leases. */
  heard(worker_id: string, boot_id: string, now: Instant): void;
  /** What has fallen due by `now`. */
  due(now: Instant): readonly CommandBody[];
  /** When `due` has something to look at again. */
  readonly nextDue: Instant | undefined;
  /**
   * When a lease goes back unless a heartbeat lists it: last heartbeat of the holder + 2 × `lease_ms`, sooner if that left
   * it out. Undefined for a lease that is not current.
   */
  expiresAt(lease_id: string, now: Instant): Instant | undefined;
  /** Share of the work on a lease that is done, as its holder's last heartbeat said. */
  progressOf(lease_id: string): number | undefined;
}

interface Watched {
  readonly worker_id: string;
  readonly boot_id: string;
  readonly registered_at: Instant;
  heard: Instant;
  beat: Instant;
  /** Current leases that heartbeats leave out, and since when. */
  readonly omitted: Map<string, Instant>;
  /** By lease, of those that the last heartbeat listed. */
  progress: ReadonlyMap<string, number>;
  proposed: { readonly state: WorkerState; readonly at: Instant } | undefined;
  /** When to look at this worker next. Earlier entries of the agenda no longer count. */
  look_at: Instant | undefined;
}

interface Look {
  readonly at: Instant;
  readonly watched: Watched;
}

export function createLiveness(options: {
  readonly coordinator: Coordinator;
  readonly lease_ms: number;
  readonly now: Instant;
}): Liveness {
  const { coordinator, lease_ms } = options;
  const repeat_ms = Math.ceil(lease_ms / 3);
  const watched_by_id = new Map<string, Watched>();
  const agenda = new Heap<Look>((a, b) => a.at < b.at);
  /** Leases whose end was proposed, and when. */
  const proposed_leases = new Map<string, Instant>();
  let registrations = -1;
  let examined = options.now;

  watchAll(options.now);

  function lookAt(watched: Watched, at: Instant): void {
    if (watched.look_at !== undefined && watched.look_at <= at) return;
    watched.look_at = at;
    agenda.push({ at, watched });
  }

  /** The first entry of the agenda that still counts: nobody looks at the dead. */
  function nextLook(): Look | undefined {
    for (;;) {
      const first = agenda.peek();
      if (first === undefined) return undefined;
      const { at, watched } = first;
      const worker = coordinator.workerRecord(watched.worker_id);
      const alive =
        worker !== undefined && worker.state !== "dead" && worker.registered_at === watched.registered_at;
      if (alive && watched_by_id.get(watched.worker_id) === watched && watched.look_at === at) return first;
      agenda.pop();
      if (watched.look_at === at) watched.look_at = undefined;
    }
  }

  /** Who is watched follows the records: every registration begins a new period. */
  function watch(worker: WorkerRecord, now: Instant): Watched {
    const { worker_id, boot_id, registered_at } = worker;
    const known = watched_by_id.get(worker_id);
    if (known?.boot_id === boot_id && known.registered_at === registered_at) return known;
    // Registering is not listing leases: the same process keeps the time of its last heartbeat.
    const before = known?.boot_id === boot_id ? known : undefined;
    const fresh: Watched = {
      worker_id,
      boot_id,
      registered_at,
      heard: now,
      beat: before?.beat ?? now,
      omitted: before?.omitted ?? new Map(),
      progress: before?.progress ?? new Map(),
      proposed: undefined,
      look_at: undefined,
    };
    watched_by_id.set(worker_id, fresh);
    if (worker.state !== "dead") lookAt(fresh, before === undefined ? now + lease_ms : now);
    return fresh;
  }

  function watchAll(now: Instant): void {
    if (registrations === coordinator.registrations) return;
    registrations = coordinator.registrations;
    for (const worker of coordinator.workerRecords()) watch(worker, now);
    for (const worker_id of watched_by_id.keys()) {
      if (coordinator.workerRecord(worker_id) === undefined) watched_by_id.delete(worker_id);
    }
  }

  /** What counts as the last heartbeat for a lease. */
  function beatOf({ beat }: Watched, { attempt }: LeaseView, now: Instant): Instant {
    return Math.max(beat, Math.min(attempt.granted_at, now));
  }

  function expiry({ omitted }: Watched, { attempt }: LeaseView, beat: Instant): Instant {
    const since = omitted.get(attempt.lease_id);
    return Math.min(beat + 2 * lease_ms, since === undefined ? Number.POSITIVE_INFINITY : since + lease_ms);
  }

  /** When a lease goes back although its worker is alive. */
  function deadline(watched: Watched, lease: LeaseView, now: Instant): Instant {
    const beat = beatOf(watched, lease, now);
    // Entries may be stamped a little behind the clock on which workers are heard: with a worker that has been silent
    // since its pull, the lease is to end as that worker's, not a moment before as one that it does not work on.
    const heard = watched.heard - beat < repeat_ms ? Math.max(beat, watched.heard) : beat;
    return expiry(watched, lease, heard);
  }

  function stateByNow(watched: Watched, worker: WorkerRecord, now: Instant): WorkerState {
    const silent_ms = now - watched.heard;
    if (silent_ms >= 2 * lease_ms) return "dead";
    return silent_ms >= lease_ms ? "suspect" : worker.state === "suspect" ? "active" : worker.state;
  }

  /** Proposes a state unless the same was proposed a moment ago. */
  function proposeState(watched: Watched, state: WorkerState, now: Instant): readonly CommandBody[] {
    const { worker_id, boot_id, proposed } = watched;
    if (proposed?.state === state && now < proposed.at + repeat_ms) return [];
    watched.proposed = { state, at: now };
    return [{ type: "set-worker-state", worker_id, boot_id, state }];
  }

  function proposeExpiry(
    lease_id: string,
    reason: "missing" | "timed-out",
    now: Instant,
  ): readonly CommandBody[] {
    const proposed = proposed_leases.get(lease_id);
    if (proposed !== undefined && now < proposed + repeat_ms) return [];
    proposed_leases.set(lease_id, now);
    return [{ type: "expire-lease", lease_id, reason }];
  }

  /** When a lease that is overdue at `now` may end: a proof that was finished while nobody led comes first. */
  function timeOutAt(lease_id: string, now: Instant): Instant {
    const inherited = (coordinator.lease(lease_id)?.attempt.granted_at ?? 0) < options.now;
    return inherited ? Math.max(now, options.now + repeat_ms) : now;
  }

  function look(watched: Watched, now: Instant): readonly CommandBody[] {
    const worker = coordinator.workerRecord(watched.worker_id);
    if (worker === undefined) return [];
    const state = stateByNow(watched, worker, now);
    const propose = state === worker.state ? [] : [...proposeState(watched, state, now)];
    const silence = [watched.heard + lease_ms, watched.heard + 2 * lease_ms].find((at) => at > now);
    let next = Math.min(
      silence ?? Number.POSITIVE_INFINITY,
      state === worker.state ? Number.POSITIVE_INFINITY : now + repeat_ms,
    );
    if (state !== "dead") {
      for (const lease of coordinator.leasesOf(watched.worker_id)) {
        const at = deadline(watched, lease, now);
        if (at <= now) propose.push(...proposeExpiry(lease.attempt.lease_id, "missing", now));
        next = Math.min(next, at <= now ? now + repeat_ms : at);
      }
    }
    lookAt(watched, next);
    return propose;
  }

  function directive(watched: Watched, lease: LeaseView | undefined): "continue" | "cancel" | "lost" {
    if (lease === undefined || lease.attempt.worker_id !== watched.worker_id) return "lost";
    if (lease.current && lease.attempt.boot_id === watched.boot_id) return "continue";
    return hasEnded(lease.task.status) ? "cancel" : "lost";
  }

  return {
    heartbeat(beat, now) {
      const { worker_id, boot_id } = beat;
      const worker = coordinator.workerRecord(worker_id);
      if (worker === undefined || worker.state === "dead") return workerUnknown(worker_id);
      if (worker.boot_id !== boot_id) return bootSuperseded(worker_id);
      const watched = watch(worker, now);
      watched.heard = now;
      watched.beat = now;

      const propose: CommandBody[] = [];
      if (worker.state === "suspect") propose.push(...proposeState(watched, "active", now));
      const listed = new Set<string>();
      const starting: string[] = [];
      const progress = new Map<string, number>();
      const expires_at = new Date(now + 2 * lease_ms).toISOString();
      const leases: HeartbeatResult["leases"][number][] = [];
      for (const { lease_id, progress: done } of beat.leases) {
        if (listed.has(lease_id)) continue;
        listed.add(lease_id);
        const lease = coordinator.lease(lease_id);
        const answer = directive(watched, lease);
        leases.push({ lease_id, directive: answer, ...(answer === "continue" ? { expires_at } : {}) });
        if (answer === "continue" && lease?.task.status === "assigned") starting.push(lease_id);
        if (answer === "continue" && done !== undefined) progress.set(lease_id, done);
      }
      watched.progress = progress;
      if (starting.length > 0) propose.push({ type: "start-leases", lease_ids: starting });

      const omitted = new Map(watched.omitted);
      watched.omitted.clear();
      const missing: string[] = [];
      for (const { attempt } of coordinator.leasesOf(worker_id)) {
        const { lease_id } = attempt;
        if (listed.has(lease_id)) continue;
        missing.push(lease_id);
        watched.omitted.set(lease_id, omitted.get(lease_id) ?? now);
      }
      return { result: { leases, missing }, propose };
    },

    heard(worker_id, boot_id, now) {
      const worker = coordinator.workerRecord(worker_id);
      if (worker === undefined || worker.boot_id !== boot_id || worker.state === "dead") return;
      const watched = watch(worker, now);
      watched.heard = now;
      if (worker.state === "suspect") lookAt(watched, now);
    },

    due(now) {
      examined = Math.max(examined, now);
      watchAll(now);
      const propose: CommandBody[] = [];
      for (let first = nextLook(); first !== undefined && first.at <= now; first = nextLook()) {
        agenda.pop();
        first.watched.look_at = undefined;
        propose.push(...look(first.watched, now));
      }
      for (const lease_id of coordinator.overdueLeases(now)) {
        if (timeOutAt(lease_id, now) <= now) propose.push(...proposeExpiry(lease_id, "timed-out", now));
      }
      for (const lease_id of proposed_leases.keys()) {
        if (!coordinator.lease(lease_id)?.current) proposed_leases.delete(lease_id);
      }
      return propose;
    },

    get nextDue() {
      const times: Instant[] = [];
      for (const lease_id of coordinator.overdueLeases(examined)) {
        if (!proposed_leases.has(lease_id)) times.push(timeOutAt(lease_id, examined));
      }
      const overdue = coordinator.nextOverdue(examined);
      if (overdue !== undefined) times.push(overdue);
      const first = nextLook();
      if (first !== undefined) times.push(first.at);
      // Workers registered since the last look have at least one period before them.
      if (registrations !== coordinator.registrations) times.push(examined + repeat_ms);
      for (const [lease_id, at] of proposed_leases) {
        if (coordinator.lease(lease_id)?.current) times.push(at + repeat_ms);
      }
      return times.length === 0 ? undefined : Math.min(...times);
    },

    expiresAt(lease_id, now) {
      const lease = coordinator.lease(lease_id);
      if (!lease?.current) return undefined;
      const { worker_id, boot_id, granted_at } = lease.attempt;
      const watched = watched_by_id.get(worker_id);
      if (watched?.boot_id === boot_id) return expiry(watched, lease, beatOf(watched, lease, now));
      return Math.max(options.now, granted_at) + 2 * lease_ms;
    },

    progressOf(lease_id) {
      const lease = coordinator.lease(lease_id);
      return lease?.current ? watched_by_id.get(lease.attempt.worker_id)?.progress.get(lease_id) : undefined;
    },
  };
}
