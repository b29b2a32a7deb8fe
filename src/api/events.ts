/** The event log: what may be appended. Known kinds have their fields checked, other kinds pass as objects. */
import { z } from "zod";
import { afterParameter, consistencyParameter, eventLimitParameter } from "./fields.ts";

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

const kindName = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;

const body = z.record(z.string(), z.unknown());

/** `{Kind:{…}}`, one kind and no more. */
const oneKind = z.record(z.string(), z.unknown()).superRefine((kinds, context) => {
  const names = Object.keys(kinds);
  const [name] = names;
  if (name === undefined || names.length !== 1) {
    context.addIssue({ code: "custom", message: "must have exactly one field, the kind of the event" });
    return;
  }
  if (!kindName.test(name)) {
    const message = "must name a kind by 1 to 64 letters, digits or underscores, not beginning with a digit";
    context.addIssue({ code: "custom", message });
    return;
  }
  const schema = Object.hasOwn(criticalKinds, name) ? (criticalKinds[name] ?? body) : body;
  for (const issue of schema.safeParse(kinds[name]).error?.issues ?? []) {
    context.issues.push({ ...issue, path: [name, ...issue.path], input: kinds[name] } as z.core.$ZodRawIssue);
  }
});

export const eventSubmission = z.object({
  event: z
    .object({ Critical: oneKind.optional(), Ephemeral: oneKind.optional() })
    .refine((event) => (event.Critical === undefined) !== (event.Ephemeral === undefined), {
      error: "must have exactly one of the fields Critical and Ephemeral",
    }),
});
export type EventSubmission = z.output<typeof eventSubmission>;

/** A Critical event of one kind, as a client submits it. */
export interface CriticalEvent {
  readonly Critical: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export const appended = z
  .object({
    success: z.literal(true),
    message: z.string(),
    log_index: z.number(),
    seq: z.number(),
    request_id: z.string(),
  })
  .meta({ id: "EventAppended" });
export type Appended = z.output<typeof appended>;

export const eventListParameters = z.object({
  consistency: consistencyParameter,
  after: afterParameter.optional(),
  limit: eventLimitParameter.optional(),
});

export const eventList = z
  .object({ events: z.array(z.unknown()).describe("As submitted."), count: z.int() })
  .meta({ id: "EventList" });

export interface EventList {
  readonly events: readonly unknown[];
  readonly count: number;
}
