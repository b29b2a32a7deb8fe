/** The description of all routes, and a page that shows it. Nothing of them comes from another host. */
import type { Handled, RequestContext, Route } from "../context.ts";
import { getDescription, getPage, getViewer } from "../declarations/description.ts";
import { sha256Hex } from "../digest.ts";
import { openApi } from "../openapi.ts";

/** Addresses are relative: the page also works under `/replicas/{id}`. */
const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Troika API</title>
<link rel="icon" href="data:,">
<script type="module" src="docs/viewer.js"></script>
<style>body { margin: 0; font-family: system-ui, sans-serif }</style>
</head>
<body>
<openapi-explorer spec-url="openapi.json" hide-server-selection="true"></openapi-explorer>
</body>
</html>
`;

/** Holds the page to this host. The viewer writes styles into its elements. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

interface Text {
  readonly text: string;
  readonly etag: string;
}

async function tagged(text: string): Promise<Text> {
  return { text, etag: `"${(await sha256Hex(text)).slice(0, 32)}"` };
}

/** A deploy may change it at any time, so a cache has to ask; what it has costs no second transfer. */
function cached({ request }: RequestContext, { text, etag }: Text, type: string): Handled {
  const headers = { etag, "cache-control": "public, no-cache", "content-type": type };
  const known = request.headers.get("if-none-match");
  const hit = known !== null && (known.trim() === "*" || known.replaceAll("W/", "").includes(etag));
  return hit ? new Response(null, { status: 304, headers }) : new Response(text, { headers });
}

/** `routes` is the whole table, these included. */
export function descriptionRoutes(routes: () => readonly Route[]): readonly Route[] {
  // Texts that are the same for every request of an isolate; a promise would belong to the request that made it.
  let description: Text | undefined;
  let viewer: Text | undefined;
  return [
    {
      method: "GET",
      path: "/openapi.json",
      access: "open",
      declares: getDescription,
      handle: async (context) => {
        description ??= await tagged(JSON.stringify(openApi(routes())));
        return cached(context, description, "application/json");
      },
    },
    {
      method: "GET",
      path: "/docs",
      access: "open",
      declares: getPage,
      handle: () =>
        new Response(PAGE, {
          headers: {
            "content-type": "text/html; charset=utf-8",
            "cache-control": "public, no-cache",
            "content-security-policy": POLICY,
          },
        }),
    },
    {
      method: "GET",
      path: "/docs/viewer.js",
      access: "open",
      declares: getViewer,
      handle: async (context) => {
        viewer ??= await tagged(context.viewer);
        return cached(context, viewer, "text/javascript; charset=utf-8");
      },
    },
  ];
}
