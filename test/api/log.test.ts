import { describe, expect, it } from "vitest";
import { logLine } from "../../src/api/log.ts";

describe("a log line", () => {
  it("begins with time, level, replica and request id, then the message, then the rest", () => {
    expect(
      logLine({ message: "redirect", to: "coordinator-2", replica: "router", request_id: "r1", ms: 3 }, 0),
    ).toBe(
      "time=1970-01-01T00:00:00.000Z level=info replica=router request_id=r1 redirect to=coordinator-2 ms=3",
    );
  });

  it("leaves out what is undefined", () => {
    expect(logLine({ replica: "coordinator-1", request_id: undefined, term: undefined }, 0)).toBe(
      "time=1970-01-01T00:00:00.000Z level=info replica=coordinator-1",
    );
  });

  it("stays one line whatever a value holds", () => {
    const line = logLine({ replica: "router", path: 'a b\n level=error "x"' }, 0);
    expect(line).not.toContain("\n");
    expect(line).toContain('path="a b\\n level=error \\"x\\""');
  });
});
