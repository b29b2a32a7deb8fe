import { describe, expect, it } from "vitest";
import { problem, problemBody, problemCodes, problemReply, problemStatus } from "../../src/api/problem.ts";

const request = { instance: "/events", request_id: "r-1" };

describe("a problem", () => {
  it("has the fields of RFC 9457, those of the contract, and those of older clients, in this order", () => {
    const body = problemBody(problem("no-leader", "nobody leads", { extra: { log_index: null } }), request);
    expect(JSON.stringify(body)).toBe(
      '{"type":"urn:troika:problem:no-leader","title":"No leader","status":503,"detail":"nobody leads",' +
        '"instance":"/events","code":"no-leader","retryable":true,"request_id":"r-1","success":false,' +
        '"error":"nobody leads","log_index":null}',
    );
  });

  it("lists the fields that are wrong", () => {
    const errors = [{ pointer: "/leaves", detail: "leaves must be a list" }];
    expect(
      problemBody(problem("invalid-request", "leaves must be a list", { errors }), request),
    ).toMatchObject({
      status: 400,
      errors,
    });
  });

  it("says Retry-After with every 503, in whole seconds, at least one", () => {
    const seconds = (ms?: number) =>
      problemReply(problem("overloaded", "busy", ms === undefined ? {} : { retry_after_ms: ms }), request)
        .headers["retry-after"];
    expect([seconds(), seconds(0), seconds(1), seconds(2_500)]).toEqual(["1", "1", "1", "3"]);
    for (const code of ["not-found", "too-large"] as const) {
      const { headers } = problemReply(problem(code, "no", { retry_after_ms: 0 }), request);
      expect(headers["retry-after"]).toBeUndefined();
    }
  });

  it("is application/problem+json whatever its code", () => {
    for (const code of problemCodes) {
      const { status, headers, body } = problemReply(problem(code, "because"), request);
      expect(status).toBe(problemStatus(code));
      expect(headers["content-type"]).toBe("application/problem+json");
      expect(JSON.parse(body ?? "")).toMatchObject({ status, code, success: false });
    }
  });

  it("is retryable exactly where repeating may help", () => {
    const retryable = problemCodes.filter((code) => problemBody(problem(code, ""), request).retryable);
    expect(retryable.toSorted()).toEqual([
      "change-in-progress",
      "commit-outcome-unknown",
      "import-in-progress",
      "internal",
      "learner-behind",
      "no-leader",
      "not-founded",
      "overloaded",
      "rate-limited",
      "removal-unsafe",
      "removed",
      "replica-stopped",
      "replica-unreachable",
      "storage-lost",
      "transfer-failed",
      "version-unknown",
    ]);
  });
});
