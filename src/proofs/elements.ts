// Numbers in the inputs of circuits: canonical decimals in strings, because JSON's numbers end at 2^53. One number has one
// spelling, so equal content is equal text. What is wrong with a number is said without showing it: inputs are private.

import { z } from "zod";
import { FIELD_ORDER, parseDecimal } from "./field.ts";

/** A canonical decimal below `bound`; `limit` is how the bound is called. */
export function decimalBelow(bound: bigint, limit: string) {
  const digits = (bound - 1n).toString().length;
  const must = `must be a decimal number below ${limit} in a string, without leading zeros`;
  // Aborting: what looks at several fields together, as an object's own refinements do, finds numbers or is not asked.
  const problem = { error: must, abort: true };
  return z
    .string({ error: must })
    .regex(new RegExp(`^(?:0|[1-9][0-9]{0,${digits - 1}})$`), problem)
    .refine((text) => parseDecimal(text, bound) !== undefined, problem)
    .meta({ description: `A decimal number below ${limit}, without leading zeros.` });
}

export const U64_BOUND = 2n ** 64n;

/** Any element of the scalar field. */
export const fieldElement = decimalBelow(FIELD_ORDER, `the field's order ${FIELD_ORDER}`);

export const u64 = decimalBelow(U64_BOUND, "2^64");
