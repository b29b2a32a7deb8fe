/**
 * The end of a run: no more trouble, everybody who is still part of the group runs. Within a bounded
 * time there is a leader, what is asked commits, all hold and have applied the same; where silence
 * is on, the group then falls silent and any request wakes it.
 */
import { isQuorum, membersOf } from "./configuration-rules.ts";
import type { Host } from "./host.ts";
import { FAIR } from "./scenario.ts";
import type { Simulation } from "./simulation.ts";
import { Violation } from "./violation.ts";

const RECOVERY_MS = 20_000;
const SILENCE_MS = 10_000;

export function makePeace(simulation: Simulation): void {
  const { world, hosts, network, operators } = simulation;
  const { checks, figures } = world;
  operators.rest();
  network.heal();
  simulation.changeWeather(FAIR);
  for (const host of hosts) {
    host.busyUntil = 0;
    host.flushes.slowness = 0;
    host.stall = 0;
    host.doom = undefined;
    host.flushes.failNext = false;
    host.start();
  }
  if (!isViable(simulation)) {
    figures.unviable += 1;
    return;
  }
  const decided = checks.history.length;
  const luck = world.luckOf("client in peace");
  let settled = false;
  let over = false;
  const prod = () => {
    if (over) return;
    const leader = leaderOf(hosts);
    if (leader === undefined) wake(simulation);
    else {
      const { current } = checks.rules;
      if (current?.type === "joint" && current.leave === "explicit") {
        leader.event((raft) => raft.leaveJointConfiguration());
      }
      if (!settled) {
        simulation.clients.write(leader, luck);
        simulation.clients.read(leader, luck);
      }
    }
    dismiss(simulation);
    world.schedule.after(100, prod);
  };
  const enough = () => checks.history.length >= decided + 3 && checks.rules.current?.type !== "joint";
  prod();
  settled = simulation.until(enough, RECOVERY_MS);
  over = settled && simulation.until(() => agreed(simulation), RECOVERY_MS);
  if (!over) {
    throw new Violation("a group without trouble decides and agrees", stateOf(simulation));
  }
  if (world.knobs.timing.quiesceAfter !== undefined) fallSilent(simulation);
}

function leaderOf(hosts: readonly Host[]): Host | undefined {
  return hosts.reduce<Host | undefined>(
    (best, host) => (host.leads && (host.status?.term ?? 0) > (best?.status?.term ?? 0) ? host : best),
    undefined,
  );
}

/** Members of the newest configuration that was decided. */
function membersNow({ world, hosts }: Simulation): readonly Host[] {
  const { current } = world.checks.rules;
  const members = current === undefined ? new Set<string>() : membersOf(current);
  return hosts.filter((host) => members.has(host.id));
}

/** Whoever was removed for good is switched off, as operators would. */
function dismiss(simulation: Simulation): void {
  const members = membersNow(simulation);
  const { rules } = simulation.world.checks;
  const { current } = rules;
  if (current?.type !== "stable") return;
  // A change that a core has taken up counts before any of it is written.
  const changing = members.some((host) => {
    const inForce = host.raft === undefined ? rules.inForce(host) : host.raft.status.configuration;
    return JSON.stringify(inForce) !== JSON.stringify(current);
  });
  if (changing) return;
  for (const host of simulation.hosts) {
    if (members.includes(host)) continue;
    host.retired = true;
    host.crash();
  }
}

/** A silent group does not wake by itself: a client's request reaches somebody who may lead. */
function wake({ hosts }: Simulation): void {
  for (const host of hosts) {
    if (host.raft !== undefined && host.raft.wakeAt === undefined) host.event((raft) => raft.campaign());
  }
}

/** Whether in every configuration that anybody may act under enough replicas are left. */
function isViable({ world, hosts }: Simulation): boolean {
  const { rules } = world.checks;
  const alive = (id: string) => hosts.some((host) => host.id === id && host.raft !== undefined);
  const { current } = rules;
  if (current === undefined || !isQuorum(current, alive)) return false;
  return hosts.every((host) => {
    const configuration = rules.inForce(host);
    return host.raft === undefined || configuration === undefined || isQuorum(configuration, alive);
  });
}

function agreed(simulation: Simulation): boolean {
  const { checks } = simulation.world;
  const leader = leaderOf(simulation.hosts);
  if (leader === undefined) return false;
  const { current } = checks.rules;
  if (current?.type === "joint") return false;
  return membersNow(simulation).every((host) => {
    const { raft, machine } = host;
    return (
      raft !== undefined &&
      machine.applied === checks.history.length &&
      raft.status.lastLog.index === machine.applied &&
      raft.status.commit === machine.applied
    );
  });
}

function fallSilent(simulation: Simulation): void {
  const { world, clients } = simulation;
  dismiss(simulation);
  const members = membersNow(simulation);
  const silent = () => members.every(({ raft }) => raft === undefined || raft.wakeAt === undefined);
  if (!simulation.until(silent, SILENCE_MS)) {
    throw new Violation("a group with nothing to do falls silent", stateOf(simulation));
  }
  world.figures.silences += 1;
  const before = clients.answered;
  const knock = () => {
    if (clients.answered > before) return;
    const leader = leaderOf(members);
    if (leader === undefined) wake(simulation);
    else clients.write(leader, world.luckOf("client that knocks"));
    world.schedule.after(200, knock);
  };
  knock();
  if (!simulation.until(() => clients.answered > before, SILENCE_MS)) {
    throw new Violation("a silent group can be woken", stateOf(simulation));
  }
}

function stateOf({ hosts, world }: Simulation): string {
  const lines = hosts.map(({ id, stage, raft, machine }) => {
    if (raft === undefined) return `  ${id} does not run (${stage})`;
    const { role, term, leader, commit, lastLog, quiesced } = raft.status;
    const wakes = raft.wakeAt === undefined ? "never wakes" : "wakes";
    return `  ${id} ${role} of term ${term}, leader ${leader}, log ${lastLog.index}@${lastLog.term}, commit ${commit}, applied ${machine.applied}, ${quiesced ? "silent" : "awake"}, ${wakes}`;
  });
  const { history, rules } = world.checks;
  return [`decided ${history.length}, ${JSON.stringify(rules.current)}`, ...lines].join("\n");
}
