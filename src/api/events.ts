/** The event log: what may be appended. Known kinds have their fields checked, other kinds pass as objects. */
import { z } from "zod";
import { consistencyParameter, eventLimitParameter, waitParameter } from "./fields.ts";

const player = z.union([z.string().min(1), z.number()], { error: "must be a string or a number" });
const timestamp = z.union([z.number(), z.string().min(1)], { error: "must be a number or a string" });
const finite = z.number();

/** Critical kinds whose fields are known. Further fields of them pass. */
export const criticalKinds: Readonly<Record<string, z.ZodType>> = {
  PlayerJoin: z.object({ player_id: player, name: z.string(), timestamp }),
  PlayerLeave: z.object({ player_id: player, timestamp }),
  ScoreUpdate: z.object({ player_id: player, score: finite, timestamp }),
  GameStateChange: z.object({ state: z.union([z.string(), z.record(z.string(), z.unknown())]), timestamp }),
};

/** The same of Ephemeral kinds. */
export const ephemeralKinds: Readonly<Record<string, z.ZodType>> = {
  PlayerMove: z.object({ player_id: player, x: finite, y: finite, z: finite, timestamp }),
  PlayerAction: z.object({ player_id: player, action: z.unknown(), timestamp }),
};

const kindName = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;

const body = z.record(z.string(), z.unknown());

/** `{Kind:{…}}`, one kind and no more. */
const oneOf = (known: Readonly<Record<string, z.ZodType>>) =>
  z.record(z.string(), z.unknown()).superRefine((kinds, context) => {
    const names = Object.keys(kinds);
    const [name] = names;
    if (name === undefined || names.length !== 1) {
      context.addIssue({ code: "custom", message: "must have exactly one field, the kind of the event" });
      return;
    }
    if (!kindName.test(name)) {
      const message =
        "must name a kind by 1 to 64 letters, digits or underscores, not beginning with a digit";
      context.addIssue({ code: "custom", message });
      return;
    }
    const schema = Object.hasOwn(known, name) ? (known[name] ?? body) : body;
    for (const issue of schema.safeParse(kinds[name]).error?.issues ?? []) {
      const path = [name, ...issue.path];
      context.issues.push({ ...issue, path, input: kinds[name] } as z.core.$ZodRawIssue);
    }
  });

export const eventSubmission = z.object({
  event: z
    .object({ Critical: oneOf(criticalKinds).optional(), Ephemeral: oneOf(ephemeralKinds).optional() })
    .refine((event) => (event.Critical === undefined) !== (event.Ephemeral === undefined), {
      error: "must have exactly one of the fields Critical and Ephemeral",
    }),
});
export type EventSubmission = z.output<typeof eventSubmission>;

/** An Ephemeral event of one kind, as a client submits it. */
export interface EphemeralEvent {
  readonly Ephemeral: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** A Critical event of one kind, as a client submits it. */
export interface CriticalEvent {
  readonly Critical: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export const appended = z
  .object({
    success: z.literal(true),
    message: z.string(),
    log_index: z.number().nullable().describe("Null for an Ephemeral event."),
    seq: z.number().optional().describe("Counts Critical events from 1."),
    request_id: z.string(),
  })
  .meta({ id: "EventAppended" });
export type Appended = z.output<typeof appended>;

const afterSentence = "must be a seq, the id of an event of a stream, or latest";

/** Of an event in a stream: its `seq`, or, with the system's own, log index and number within the entry. */
export const eventPosition = z
  .string({ error: afterSentence })
  .regex(/^(\d{1,15}(\.\d{1,9})?|latest)$/, { error: afterSentence });

export const eventListParameters = z.object({
  consistency: consistencyParameter,
  after: eventPosition.optional().describe("Behind which to begin; where absent, with the oldest kept."),
  limit: eventLimitParameter.optional(),
  include: z.enum(["system"]).optional().describe("With the system's own events."),
  wait: waitParameter.optional(),
});

export const eventList = z
  .object({
    events: z.array(z.unknown()).describe("As submitted; the system's own as `{System:{name:{…}}}`."),
    count: z.int(),
    last: z
      .string()
      .optional()
      .describe("With `include=system` or `after=latest`: the `after` to go on from."),
  })
  .meta({ id: "EventList" });

export interface EventList {
  readonly events: readonly unknown[];
  readonly count: number;
  /** With the system's own events, or behind the latest: the `after` to go on from. */
  readonly last?: string;
}
