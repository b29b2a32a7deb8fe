/**
 * One line of text per event, `key=value` pairs that `grep` and `cut` understand. Never hand it an input, a blinding, a
 * proof or a token.
 */

export interface LogEvent {
  /** `info` where absent. */
  readonly level?: "info" | "warn" | "error";
  /** `router`, `coordinator-1`, … */
  readonly replica: string;
  readonly request_id?: string | undefined;
  /** Written as it stands, before the other fields: `raft: election won`. */
  readonly message?: string;
  readonly [field: string]: string | number | boolean | undefined;
}

function pair(name: string, value: string | number | boolean): string {
  const text = String(value);
  return `${name}=${/^[^\s"=]+$/.test(text) ? text : JSON.stringify(text)}`;
}

/** The line for an event: time, level, replica and request id first; fields that are undefined are left out. */
export function logLine(event: LogEvent, now: number): string {
  const { level = "info", replica, request_id, message, ...fields } = event;
  const parts = [pair("time", new Date(now).toISOString()), pair("level", level), pair("replica", replica)];
  if (request_id !== undefined) parts.push(pair("request_id", request_id));
  if (message !== undefined) parts.push(message);
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) parts.push(pair(name, value));
  }
  return parts.join(" ");
}

export function log(event: LogEvent): void {
  console.log(logLine(event, Date.now()));
}
