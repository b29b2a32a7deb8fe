// What ties a proof to one task: the public signal `context`, which every circuit has.

import { utf8ToBytes } from "@noble/hashes/utils.js";
import { hashToField } from "./field.ts";

/**
 * 248 bits of a hash over circuit, verifying key and task, as a decimal string. A zero byte ends each part: none of
 * them can contain one, so no two triples give the same bytes.
 */
export function taskContext(circuit: string, vkHash: string, taskId: string): string {
  return hashToField(utf8ToBytes(`troika/context/1\0${circuit}\0${vkHash}\0${taskId}\0`)).toString();
}
