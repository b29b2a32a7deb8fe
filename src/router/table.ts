/** Every route of the contract. */
import type { Route } from "./context.ts";
import { bulkRoutes } from "./routes/bulk.ts";
import { circuitRoutes } from "./routes/circuits.ts";
import { clusterRoutes } from "./routes/cluster.ts";
import { descriptionRoutes } from "./routes/description.ts";
import { eventRoutes } from "./routes/events.ts";
import { exportRoutes } from "./routes/exports.ts";
import { leaseRoutes } from "./routes/leases.ts";
import { memberRoutes } from "./routes/members.ts";
import { operationRoutes } from "./routes/operations.ts";
import { submissionRoutes } from "./routes/submissions.ts";
import { taskRoutes } from "./routes/tasks.ts";
import { workerRoutes } from "./routes/workers.ts";

export const routes: readonly Route[] = [
  ...clusterRoutes,
  ...bulkRoutes,
  ...memberRoutes,
  ...exportRoutes,
  ...submissionRoutes,
  ...taskRoutes,
  ...workerRoutes,
  ...leaseRoutes,
  ...eventRoutes,
  ...operationRoutes,
  ...circuitRoutes,
  ...descriptionRoutes(() => routes),
];
