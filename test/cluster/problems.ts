/** The shape that every error has. */
import { expect } from "vitest";
import type { ProblemBody } from "../../src/api/problem.ts";
import type { Reply } from "./harness.ts";

export function expectProblem(reply: Reply<ProblemBody>, status: number, code: string): void {
  const { body, headers } = reply;
  expect([reply.status, body.code], reply.text).toEqual([status, code]);
  expect(headers.get("content-type")).toBe("application/problem+json");
  expect(body).toMatchObject({
    type: `urn:troika:problem:${code}`,
    title: expect.any(String),
    status,
    instance: expect.stringMatching(/^\//),
    retryable: status >= 500,
    request_id: headers.get("x-request-id"),
    success: false,
  });
  expect(body.detail.length).toBeGreaterThan(0);
  expect(body.error).toBe(body.detail);
}
