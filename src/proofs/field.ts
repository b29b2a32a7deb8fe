// The scalar field of BN254, in which circuits count, and the one way in which bytes enter it. Nothing is ever reduced
// modulo the order in silence: a hash enters as its first 31 bytes, 248 bits, which always fit.

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";

export const FIELD_ORDER = 0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001n;

/** As many as always fit. */
export const ELEMENT_BYTES = 31;

/** The first 248 bits of SHA-256, big-endian. */
export function hashToField(bytes: Uint8Array): bigint {
  return bytesToField(sha256(bytes).subarray(0, ELEMENT_BYTES));
}

/** 248 random bits, as a decimal string: what keeps a published tag from being tested against guessed inputs. */
export function newBlinding(): string {
  return bytesToField(crypto.getRandomValues(new Uint8Array(ELEMENT_BYTES))).toString();
}

/** "0x" and 64 digits. */
export function fieldToHex(element: bigint): string {
  return `0x${element.toString(16).padStart(64, "0")}`;
}

const CANONICAL_DECIMAL = /^(?:0|[1-9][0-9]{0,77})$/;

/** The number that a canonical decimal below `bound` stands for; undefined for anything else ("00", "+1", hex, 7). */
export function parseDecimal(text: unknown, bound: bigint): bigint | undefined {
  if (typeof text !== "string" || !CANONICAL_DECIMAL.test(text)) return undefined;
  const value = BigInt(text);
  return value < bound ? value : undefined;
}

/** Big-endian. More than `ELEMENT_BYTES` need not fit. */
export function bytesToField(bytes: Uint8Array): bigint {
  return BigInt(`0x${bytesToHex(bytes)}`);
}
