/** SHA-256 and canonical JSON. */
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";

/** Of fewer bytes the digest is made before the runtime has taken up the call. */
const WORTH_A_CALL_BYTES = 1_024;
const utf8 = new TextEncoder();

export async function sha256Hex(data: Uint8Array | string): Promise<string> {
  const bytes = typeof data === "string" ? utf8.encode(data) : data;
  if (bytes.byteLength < WORTH_A_CALL_BYTES) return bytesToHex(sha256(bytes));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
  return bytesToHex(digest);
}

const { isRawJSON } = JSON as unknown as { isRawJSON(value: unknown): boolean };

/** Compact JSON with sorted keys: equal values give equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part !== "object" || part === null || Array.isArray(part) || isRawJSON(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
