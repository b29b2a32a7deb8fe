/** What to try once a cluster is up: lines to copy. */
import { type Layout, memberUrl, routerUrl } from "./layout.ts";
import { SAMPLE_LEAVES } from "./sample.ts";

/** `choice`: flags that make a command mean this cluster, empty for the usual place. */
export function tryNext(layout: Layout, certificateFile: string | undefined, choice: string): string {
  const curl = certificateFile === undefined ? "curl -s" : `curl -s --cacert ${certificateFile}`;
  const router = routerUrl(layout);
  const body = JSON.stringify({ leaves: [...SAMPLE_LEAVES].reverse(), leaf_index: 1 });
  const ports = layout.members.map(({ port }) => port);
  const health = ports.map((port) => `${memberUrl(layout, port)}/health`).join(" ");
  const last = layout.members.at(-1);
  return `
Try next, in another terminal:

  submit     ${curl} -X POST ${router}/api/v1/tasks/merkle -d '${body}'
  look       ${curl} ${router}/api/v1/tasks/<task_id>
  who leads  ${curl} ${health}
  stop one   npm run troika -- stop ${last?.name}${choice}
  look       npm run troika -- status${choice}
  start it   npm run troika -- start ${last?.name}${choice}
  logs       npm run troika -- logs ${last?.name} -f${choice}

Ctrl-C ends everything; the state stays in ${layout.directory}.
`;
}
