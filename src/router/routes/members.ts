/** Who takes part in the group, who leads it, the operator's changes of both, and checkpoints by hand. */
import { type ClusterView, leaderTransfer, memberAddition, NODE_ID } from "../../api/members.ts";
import { problem } from "../../api/problem.ts";
import { validate } from "../../api/validation.ts";
import type { Change } from "../../replica/rpc.ts";
import { readJson, SMALL_BODY_BYTES_MAX } from "../body.ts";
import { answer, type Handled, type RequestContext, type Route } from "../context.ts";
import * as declared from "../declarations/members.ts";
import { observe } from "./cluster.ts";

async function overview(context: RequestContext): Promise<Handled> {
  const view = await observe<ClusterView>(context, "cluster");
  return view.ok ? answer(context, 200, view.value) : view.problem;
}

/** Has the leader make a change; what came of it stands in the answer. */
async function make(context: RequestContext, status: number, wanted: Change): Promise<Handled> {
  const made = await context.cluster.change(wanted);
  if (!made.ok) return made.problem;
  const { type: _, ...shown } = made.value;
  return answer(context, status, shown);
}

async function add(context: RequestContext): Promise<Handled> {
  const body = await readJson(context.request, SMALL_BODY_BYTES_MAX);
  if (!body.ok) return body.problem;
  const wanted = validate(memberAddition, body.value);
  if (!wanted.ok) return wanted.problem;
  const { node_id, location_hint } = wanted.value;
  const hint = location_hint === undefined ? {} : { location_hint };
  return make(context, 201, { change: "add", node_id, ...hint });
}

function changeOf(kind: "promote" | "remove") {
  return async (context: RequestContext): Promise<Handled> => {
    const node_id = context.params.id ?? "";
    if (!NODE_ID.test(node_id)) return problem("member-unknown", `${node_id} is no member`);
    return make(context, 200, { change: kind, node_id });
  };
}

async function transfer(context: RequestContext): Promise<Handled> {
  const body = await readJson(context.request, SMALL_BODY_BYTES_MAX, {});
  if (!body.ok) return body.problem;
  const wanted = validate(leaderTransfer, body.value);
  if (!wanted.ok) return wanted.problem;
  const { to } = wanted.value;
  return make(context, 200, { change: "transfer", ...(to === undefined ? {} : { to }) });
}

async function checkpoint(context: RequestContext): Promise<Handled> {
  const { cluster, own } = context;
  const names = own === undefined ? cluster.names : [own];
  const taken = await Promise.all(names.map((name) => cluster.checkpoint(name)));
  const indexes = taken.flatMap((one) => (one.ok ? one.value.checkpoint_index : []));
  if (indexes.length === 0) {
    const [first] = taken.flatMap((one) => (one.ok ? [] : one.problem));
    return first ?? problem("no-leader", "there is no replica");
  }
  const checkpoints = taken.map((one, at) => {
    const node_id = names[at];
    if (one.ok) return { node_id, checkpoint_index: one.value.checkpoint_index };
    return { node_id, code: one.problem.code, detail: one.problem.detail };
  });
  return answer(context, 200, { checkpoint_index: Math.min(...indexes), checkpoints });
}

export const memberRoutes: readonly Route[] = [
  {
    method: "GET",
    path: "/api/v1/cluster",
    access: "any",
    declares: declared.getCluster,
    handle: overview,
  },
  {
    method: "POST",
    path: "/api/v1/cluster/members",
    access: "operator",
    declares: declared.addMember,
    handle: add,
  },
  {
    method: "POST",
    path: "/api/v1/cluster/members/:id/promote",
    access: "operator",
    declares: declared.promoteMember,
    handle: changeOf("promote"),
  },
  {
    method: "DELETE",
    path: "/api/v1/cluster/members/:id",
    access: "operator",
    declares: declared.removeMember,
    handle: changeOf("remove"),
  },
  {
    method: "POST",
    path: "/api/v1/cluster/leader/transfer",
    access: "operator",
    declares: declared.transferLeadership,
    handle: transfer,
  },
  {
    method: "POST",
    path: "/api/v1/cluster/checkpoint",
    access: "operator",
    declares: declared.takeCheckpoints,
    handle: checkpoint,
  },
];
