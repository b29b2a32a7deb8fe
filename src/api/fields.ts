/** Fields that several requests share. */
import { z } from "zod";

/** A name that people and processes give: a worker, a boot. Its characters are safe in a path and in a log line. */
export const identifier = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/, {
  error:
    "must be 1 to 128 letters, digits, dots, dashes, colons or underscores, beginning with a letter or digit",
});

export const taskId = z.uuid({ error: "must be a UUID" }).transform((text) => text.toLowerCase());

/** Seconds that a long poll may last. */
export const WAIT_S_MAX = 25;

const waitSentence = `must be a number of seconds from 0 to ${WAIT_S_MAX}`;

export const waitSeconds = z
  .number({ error: waitSentence })
  .min(0, { error: waitSentence })
  .max(WAIT_S_MAX, { error: waitSentence })
  .describe("How long to wait for an answer, in seconds.");

/** The same where it stands in the address. */
export const waitParameter = z
  .string({ error: waitSentence })
  .regex(/^\d{1,3}(\.\d{1,3})?$/, { error: waitSentence })
  .transform(Number)
  .pipe(waitSeconds)
  .meta({ type: "number", minimum: 0, maximum: WAIT_S_MAX });

export const LIST_LIMIT_MAX = 500;
export const LIST_LIMIT_DEFAULT = 50;

function wholeParameter(min: number, max: number) {
  const text = `must be a whole number from ${min} to ${max}`;
  return z
    .string({ error: text })
    .regex(/^\d{1,15}$/, { error: text })
    .transform(Number)
    .refine((value) => value >= min && value <= max, { error: text })
    .meta({ type: "integer", minimum: min, maximum: max });
}

export const limitParameter = wholeParameter(1, LIST_LIMIT_MAX);
export const eventLimitParameter = wholeParameter(1, 1_000_000);
export const afterParameter = wholeParameter(0, Number.MAX_SAFE_INTEGER);

export const consistencyParameter = z
  .enum(["linearizable", "stale"], { error: "must be linearizable or stale" })
  .default("linearizable")
  .describe("stale: whatever the replica that is asked knows, without asking the others.");

/** Several words where they stand in the address: `?status=failed,expired`. */
export function wordsParameter<Word extends string>(words: readonly Word[]) {
  const word = `(${words.join("|")})`;
  return z
    .string()
    .regex(new RegExp(`^${word}(,${word}){0,19}$`), { error: `must be one of ${words.join(", ")}` })
    .transform((text) => text.split(",") as Word[]);
}

const cursorSentence = "must be the next_cursor of an earlier page";

/** A page of tasks goes on below the sequence of its last one. */
export const taskCursorParameter = z
  .string({ error: cursorSentence })
  .regex(/^[1-9]\d{0,14}$/, { error: cursorSentence });

/** A page of workers goes on after the name of its last one. */
export const workerCursorParameter = identifier;

export const idempotencyKey = z
  .string()
  .regex(/^[\x21-\x7e]{1,255}$/, { error: "must be 1 to 255 printable characters without spaces" });

/** RFC 3339, UTC, with milliseconds. */
export const time = z.iso.datetime({ precision: 3 });

/** A page of a list as it is answered. */
export function listOf<Item extends z.ZodType>(item: Item) {
  return z.object({
    items: z.array(item),
    next_cursor: z.string().optional().describe("Absent on the last page."),
    request_id: z.string(),
  });
}
