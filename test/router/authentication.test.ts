/** Which hosts count as this machine. Who is let in there and elsewhere: test/cluster/authentication.test.ts. */
import { describe, expect, it } from "vitest";
import { isLoopback } from "../../src/router/authentication.ts";

describe("a loopback host", () => {
  it("is recognised by its whole name", () => {
    for (const host of ["localhost", "a.localhost", "127.0.0.1", "127.8.9.1", "[::1]"]) {
      expect([host, isLoopback(host)]).toEqual([host, true]);
    }
    for (const host of [
      "localhost.example.com",
      "127.0.0.1.nip.io",
      "10.0.0.1",
      "mylocalhost",
      "[::2]",
      "",
    ]) {
      expect([host, isLoopback(host)]).toEqual([host, false]);
    }
  });
});
