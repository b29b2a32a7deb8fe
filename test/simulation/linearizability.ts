/**
 * Whether what clients saw can be explained by registers that do one thing at a time: the search of
 * Wing and Gong with Lowe's memory of dead ends. Keys are independent, so each is searched alone
 * (linearizability is local), and a history of one key is kept short by whoever makes it: the search
 * is exponential in the number of operations under way at once.
 *
 * An own checker because the npm registry has none.
 */

export interface Operation {
  /** Also the value that a write or a successful compare-and-set leaves behind. */
  readonly operation: number;
  readonly type: "write" | "compare-and-set" | "read";
  readonly key: number;
  /** What a compare-and-set wants to find. */
  readonly expected?: number;
  /** When it began and when it was answered, in any unit that orders events strictly. */
  readonly called: number;
  /** Infinite for one that took effect although nobody was told. */
  readonly answered: number;
  /** The value read, or whether the compare-and-set took place; unknown if nobody was told. */
  readonly result?: number | boolean;
}

/** Operations on one key beyond which a history is refused. */
export const MOST_OPERATIONS = 60;

const HALF = 30;

interface Event {
  readonly operation: Operation;
  /** Place of the operation in the set of those already in order. */
  readonly bit: number;
  /** The answer, for a call. */
  answer: Event | undefined;
  previous: Event | undefined;
  next: Event | undefined;
}

/** The operations of a key that cannot be put in any order, or `undefined` if all can. */
export function unexplained(operations: readonly Operation[]): readonly Operation[] | undefined {
  const byKey = new Map<number, Operation[]>();
  for (const operation of operations) {
    const others = byKey.get(operation.key);
    if (others === undefined) byKey.set(operation.key, [operation]);
    else others.push(operation);
  }
  for (const history of byKey.values()) {
    if (!isLinearizable(history)) return [...history].sort((a, b) => a.called - b.called);
  }
  return undefined;
}

/** Whether one key's operations fit a register that begins as `0`. */
export function isLinearizable(history: readonly Operation[]): boolean {
  if (history.length > MOST_OPERATIONS) {
    throw new Error(`${history.length} operations on one key are more than the search can take`);
  }
  const head = linked(history);
  const seen = new Set<string>();
  const path: { readonly call: Event; readonly before: number }[] = [];
  let state = 0;
  let low = 0;
  let high = 0;
  for (let event = head.next; ; ) {
    if (head.next === undefined) return true;
    if (event?.answer !== undefined) {
      const after = stepped(state, event.operation);
      const bit = event.bit;
      const newLow = bit < HALF ? low | (1 << bit) : low;
      const newHigh = bit < HALF ? high : high | (1 << (bit - HALF));
      const memory = `${newLow},${newHigh},${after}`;
      if (after !== undefined && !seen.has(memory)) {
        seen.add(memory);
        path.push({ call: event, before: state });
        [state, low, high] = [after, newLow, newHigh];
        lift(event);
        event = head.next;
      } else event = event.next;
      continue;
    }
    // An answer is reached whose call is not in order yet: one of the choices before was wrong.
    const last = path.pop();
    if (last === undefined) return false;
    state = last.before;
    const { bit } = last.call;
    if (bit < HALF) low &= ~(1 << bit);
    else high &= ~(1 << (bit - HALF));
    unlift(last.call);
    event = last.call.next;
  }
}

/** The register after an operation, or `undefined` if it cannot have been answered like this. */
function stepped(state: number, { type, operation, expected, result }: Operation): number | undefined {
  if (type === "write") return operation;
  if (type === "read") return result === undefined || result === state ? state : undefined;
  const takes = state === expected;
  if (result !== undefined && result !== takes) return undefined;
  return takes ? operation : state;
}

function linked(history: readonly Operation[]): Event {
  const events: { readonly at: number; readonly isCall: boolean; readonly event: Event }[] = [];
  history.forEach((operation, bit) => {
    const blank = { operation, bit, answer: undefined, previous: undefined, next: undefined };
    const answer: Event = { ...blank };
    events.push({ at: operation.called, isCall: true, event: { ...blank, answer } });
    events.push({ at: operation.answered, isCall: false, event: answer });
  });
  events.sort((a, b) => (a.at === b.at ? Number(b.isCall) - Number(a.isCall) : a.at < b.at ? -1 : 1));
  const nothing = { operation: -1, type: "read", key: 0, called: 0, answered: 0 } as const;
  const head: Event = {
    operation: nothing,
    bit: -1,
    answer: undefined,
    previous: undefined,
    next: undefined,
  };
  let last = head;
  for (const { event } of events) {
    last.next = event;
    event.previous = last;
    last = event;
  }
  return head;
}

/** Takes a call and its answer out of the list; they remember where they stood. */
function lift(call: Event): void {
  bridge(call);
  if (call.answer !== undefined) bridge(call.answer);
}

function bridge(event: Event): void {
  if (event.previous !== undefined) event.previous.next = event.next;
  if (event.next !== undefined) event.next.previous = event.previous;
}

function unlift(call: Event): void {
  for (const event of [call.answer, call]) {
    if (event?.previous !== undefined) event.previous.next = event;
    if (event?.next !== undefined) event.next.previous = event;
  }
}
