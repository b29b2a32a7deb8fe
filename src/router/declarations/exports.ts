/** What the routes of exports say of themselves. */
import { z } from "zod";
import { exportParameters, importAnswer, importParameters } from "../../api/exports.ts";
import { type Declaration, READ_PROBLEMS, WRITE_PROBLEMS } from "../declaration.ts";

export const exportGroup: Declaration = {
  id: "exportGroup",
  tag: "Cluster",
  summary: "Everything that clients have brought in, as JSON lines",
  details:
    "Events, operations, tasks and workers as of one entry of the log, streamed, of any length. A line is `{type, record}`; the first is of type `export` and says of which entry, the last of type `end`: without it the export was cut short, as it is when the group changes far faster than it is read. **It holds what is secret**: inputs and blindings of tasks, and ids of leases. Answers to idempotency keys, counters and members are not in it.",
  query: exportParameters,
  answers: {
    200: {
      is: "The lines.",
      body: z.string(),
      type: "application/x-ndjson",
      headers: ["X-Raft-Applied-Index"],
    },
  },
  problems: READ_PROBLEMS,
};

export const importGroup: Declaration = {
  id: "importGroup",
  tag: "Cluster",
  summary: "Take an export into a group in which nothing has happened yet",
  details:
    "The body is an export, or with `from_line` and `export_id` a part of one. Each line is taken in once: whatever became of an answer, send it again and it goes on where it was. While it goes on, new tasks, events and operations are 503 `import-in-progress`; ten minutes after the last line they are accepted, and the import is given up. Events keep their `seq`, tasks their ids; log indexes are new ones; nobody holds a lease any more. Proofs are not verified again.",
  query: importParameters,
  body: z.string(),
  bodyType: "application/x-ndjson",
  answers: {
    200: { is: "All of it is here.", body: importAnswer },
    202: { is: "The body ended before the export did.", body: importAnswer },
  },
  problems: ["group-not-empty", "import-gap", "import-invalid", ...WRITE_PROBLEMS],
};
