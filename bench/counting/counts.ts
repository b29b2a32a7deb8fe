/** What `GET /bench/counts` answers: since the process was started, of router and replicas together. */
export interface Counts {
  readonly worker_requests: number;
  /** By path; all that replicas ask each other as `peers`. */
  readonly object_requests: Readonly<Record<string, number>>;
  readonly alarms: number;
  /** Of WebSockets, incoming. */
  readonly messages: number;
  /** By verb and table, and `setAlarm`. */
  readonly rows: Readonly<Record<string, number>>;
  /** That the group was not asleep. Each replica is billed for it. */
  readonly awake_ms: number;
}
