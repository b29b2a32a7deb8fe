/** Ports: which one is in the way, and the proxy that gives each replica one of its own. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type request, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { makeCertificate } from "../../worker-sim/cluster/certificate.ts";
import { layoutOf } from "../../worker-sim/cluster/layout.ts";
import { requireFreePorts } from "../../worker-sim/cluster/ports.ts";
import { openReplicaPort, type ReplicaPort } from "../../worker-sim/cluster/replica-port.ts";

const servers: Server[] = [];
const ports: ReplicaPort[] = [];

afterEach(async () => {
  for (const port of ports.splice(0)) await port.close();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

async function listening(server: Server): Promise<number> {
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** Whichever port is free, so that one always is. */
const ANY_PORT = 0;
/** A port below 1024 that no service of today has: nobody listens there. */
const SILENT_PORT = 1;

async function proxyTo(routerPort: number, tls?: { key: string; certificate: string }): Promise<number> {
  const opened = await openReplicaPort({
    name: "coordinator-2",
    port: ANY_PORT,
    routerPort,
    ...(tls === undefined ? {} : { tls }),
  });
  ports.push(opened);
  return opened.port;
}

describe("ports in use", () => {
  test("the sentence names the port, who needs it and how to find its owner", async () => {
    const taken = await listening(createServer());
    const layout = layoutOf({ stateRoot: "/nowhere", replicas: 3, port: ANY_PORT, https: false });
    const members = layout.members.map(({ name }) => ({
      name,
      port: name === "coordinator-2" ? taken : ANY_PORT,
    }));
    const refusal = requireFreePorts({ ...layout, members }, 0);
    await expect(refusal).rejects.toThrow(`Port ${taken}, which coordinator-2 needs, is in use`);
    await expect(refusal).rejects.toThrow(`ss -ltnp "sport = :${taken}"`);
  });

  test("patience waits for a port that is about to be free", async () => {
    const server = createServer();
    const taken = await listening(server);
    const layout = layoutOf({ stateRoot: "/nowhere", replicas: 1, port: taken, https: false });
    const free = requireFreePorts({ ...layout, members: [] }, 10_000);
    servers.pop();
    server.close();
    await expect(free).resolves.toBeUndefined();
  });
});

describe("a replica's own port", () => {
  test("method, path, query, headers and body arrive under the replica's path", async () => {
    const router = await listening(
      createServer(async (incoming, outgoing) => {
        let body = "";
        for await (const chunk of incoming) body += chunk;
        const { method, url, headers } = incoming;
        outgoing.writeHead(207, { "x-answer": "yes" });
        outgoing.end(JSON.stringify({ method, url, body, mine: headers["x-mine"], host: headers.host }));
      }),
    );
    const port = await proxyTo(router);
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/x?wait=3`, {
      method: "PUT",
      body: "{}",
      headers: { "x-mine": "kept" },
    });
    expect(response.status).toBe(207);
    expect(response.headers.get("x-answer")).toBe("yes");
    expect(await response.json()).toEqual({
      method: "PUT",
      url: "/replicas/coordinator-2/api/v1/x?wait=3",
      body: "{}",
      mine: "kept",
      host: `127.0.0.1:${port}`,
    });
  });

  test("an answer streams: its first part arrives before it has ended", async () => {
    const ended = Promise.withResolvers<void>();
    const router = await listening(
      createServer((_, outgoing) => {
        outgoing.write("first");
        void ended.promise.then(() => outgoing.end("second"));
      }),
    );
    const port = await proxyTo(router);
    const reader = (await fetch(`http://127.0.0.1:${port}/events`)).body?.getReader();
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe("first");
    ended.resolve();
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe("second");
  });

  test("a client that goes away ends the request to the router", async () => {
    const gone = Promise.withResolvers<void>();
    const router = await listening(createServer((_, outgoing) => outgoing.on("close", () => gone.resolve())));
    const port = await proxyTo(router);
    const abort = new AbortController();
    const call = fetch(`http://127.0.0.1:${port}/pull`, { signal: abort.signal }).catch(() => "aborted");
    await once(servers[0] as Server, "request");
    abort.abort();
    expect(await call).toBe("aborted");
    await gone.promise;
  });

  test("without a router the answer is a 503 problem that names the replica", async () => {
    const port = await proxyTo(SILENT_PORT);
    const response = await fetch(`http://127.0.0.1:${port}/health`, { headers: { "x-request-id": "r-1" } });
    expect(response.status).toBe(503);
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    expect(response.headers.get("retry-after")).toBe("1");
    expect(await response.json()).toMatchObject({
      code: "replica-unreachable",
      retryable: true,
      request_id: "r-1",
      instance: "/health",
      detail: expect.stringContaining("coordinator-2"),
    });
  });

  test.each(["localhost", "127.0.0.1"])("with https the certificate is good for %s", async (host) => {
    const tls = makeCertificate(Date.now());
    const router = await listening(
      createTlsServer({ key: tls.key, cert: tls.certificate }, (incoming, outgoing) => {
        outgoing.end(incoming.url);
      }),
    );
    const port = await proxyTo(router, tls);
    const { request: tlsRequest } = await import("node:https");
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const call: ReturnType<typeof request> = tlsRequest(
        { host, port, path: "/health", ca: tls.certificate, family: 4 },
        resolve,
      );
      call.on("error", reject).end();
    });
    let body = "";
    for await (const chunk of answer) body += chunk;
    expect(body).toBe("/replicas/coordinator-2/health");
  });
});
