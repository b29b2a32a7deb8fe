/** What the routes of the cluster say of themselves. */
import { z } from "zod";
import { alive, fault, faultAnswer, health, readiness, service, status } from "../../api/cluster.ts";
import { type Declaration, READ_PROBLEMS } from "../declaration.ts";

export const getRoot: Declaration = {
  id: "getService",
  tag: "Cluster",
  summary: "Which service this is",
  answers: { 200: { is: "Name, version and places to begin.", body: service } },
};

export const getLive: Declaration = {
  id: "getLive",
  tag: "Cluster",
  summary: "Whether this router runs",
  answers: { 200: { is: "It does.", body: alive } },
};

export const getReady: Declaration = {
  id: "getReady",
  tag: "Cluster",
  summary: "Whether a write could commit now",
  answers: { 200: { is: "It could.", body: readiness } },
  problems: ["no-leader"],
};

export const getHealth: Declaration = {
  id: "getHealth",
  tag: "Cluster",
  summary: "Health of the cluster, or of one replica on its own routes",
  details:
    "On a replica's own routes the status is 200 unless the replica is stopped. Never waits for a leader. Answered from what the replica knows.",
  answers: {
    200: { is: "`healthy` or `degraded`; on a replica's own routes also `unhealthy`.", body: health },
    503: { is: "`unhealthy`: no leader reaches a majority.", body: health.partial() },
  },
};

export const getStatus: Declaration = {
  id: "getStatus",
  tag: "Cluster",
  summary: "Consensus status of the leader, or of one replica on its own routes",
  answers: { 200: { is: "As the replica sees it.", body: status } },
  problems: READ_PROBLEMS,
};

export const getMetrics: Declaration = {
  id: "getMetrics",
  tag: "Cluster",
  summary: "Prometheus metrics",
  details: "At the router: the leader's, and the `http_*` of the isolate that answers.",
  answers: {
    200: { is: "Text format 0.0.4.", body: z.string(), type: "text/plain; version=0.0.4; charset=utf-8" },
  },
  problems: READ_PROBLEMS,
};

export const injectFault: Declaration = {
  id: "injectFault",
  tag: "Cluster",
  summary: "Inject or lift a fault",
  details:
    "Only where the variable `FAULTS` is on: local clusters and tests. A fault is stored and lasts until it is lifted, across restarts.",
  body: fault,
  answers: { 200: { is: "The replica confirmed it.", body: faultAnswer } },
  problems: ["not-found", "replica-unknown", "replica-unreachable"],
};
