/** The buckets of a ring as records of a table. */
import type { BucketRecord } from "./records.ts";
import type { BucketStore } from "./ring.ts";
import type { State } from "./state.ts";
import type { RecordTypes } from "./tables.ts";

type BucketTable = "commands" | "key_order" | "operation_order" | "system_events";
type EntryOf<T extends BucketTable> = RecordTypes[T] extends BucketRecord<infer Entry> ? Entry : never;

export function bucketsOf<T extends BucketTable>(state: State, table: T): BucketStore<EntryOf<T>> {
  return {
    get: (key) => state.get(table, key) as BucketRecord<EntryOf<T>> | undefined,
    put: (key, bucket) => state.put(table, key, bucket as unknown as RecordTypes[T]),
    delete: (key) => state.delete(table, key),
  };
}
