/** What clients under load were told, and what they saw: kept by themselves, to be held against the cluster afterwards. */

export interface AcknowledgedEvent {
  readonly key: string;
  readonly seq: number;
  readonly log_index: number;
  /** Of the request that was answered; `performance.now()`. */
  readonly sent_at: number;
  readonly at: number;
}

/** What one reader of a stream has got, over all its connections. */
export interface StreamLedger {
  readonly where: string;
  readonly texts: string[];
  resumed: number;
}

/** What one handler gave effect to, with the place that it goes on from after a crash: both change together. */
export interface HandlerLedger {
  readonly where: string;
  readonly effects: { readonly operation_id: string; readonly log_index: number }[];
  position: number;
  crashes: number;
}

export class Ledger {
  readonly events: AcknowledgedEvent[] = [];
  /** Log index by id. */
  readonly operations = new Map<string, number>();
  /** Task id by idempotency key. */
  readonly tasks = new Map<string, string>();
  /** Leases that were told that their proof was accepted, by task. */
  readonly accepted = new Map<string, Set<string>>();
  readonly streams: StreamLedger[] = [];
  readonly handlers: HandlerLedger[] = [];
  /** Repeats of what was acknowledged already. */
  repeats = 0;
  readsChecked = 0;
  /** Operations on registers whose history could be explained. */
  raced = 0;
  /** Answers that asked for another try, by status. */
  readonly again = new Map<string, number>();
  /** Promises that were not kept, in words. */
  readonly broken: string[] = [];

  /** A promise is broken unless `kept`. */
  expect(kept: boolean, sentence: () => string): void {
    if (!kept) this.broken.push(sentence());
  }
}
