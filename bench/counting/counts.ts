/** What `GET /bench/counts` answers: since the process was started, of router and replicas together. */
export interface Counts {
  readonly worker_requests: number;
  /** By path; all that replicas ask each other as `peers`. */
  readonly object_requests: Readonly<Record<string, number>>;
  readonly alarms: number;
  /** Of the texts that replicas ask each other and answer: characters, which are bytes as long as they are ASCII. */
  readonly peer_bytes: number;
  /** Of WebSockets, incoming. */
  readonly messages: number;
  /** By verb and table, and `setAlarm`. */
  readonly rows: Readonly<Record<string, number>>;
  /** That the group was not asleep. Each replica is billed for it. */
  readonly awake_ms: number;
}
