/** From what a schema found wrong to sentences that name the field. */
import type { z } from "zod";
import { type FieldError, type Problem, problem, type Result } from "./problem.ts";

const ERRORS_SHOWN_MAX = 20;

/** What is looked at, as sentences call it, and the JSON pointer to it; none where it stands in no document. */
interface Subject {
  readonly name: string;
  readonly pointer?: string;
}

const BODY: Subject = { name: "the body", pointer: "" };

/** Part of the path, by its name there. */
export function pathPart(name: string): Subject {
  return { name, pointer: `/${name}` };
}

export function header(name: string): Subject {
  return { name: `the header ${name}` };
}

type Issue = z.core.$ZodIssue;

/** `leases[3].lease_id` */
function fieldName(path: readonly PropertyKey[]): string {
  return path
    .map((step, i) => (typeof step === "number" ? `[${step}]` : `${i === 0 ? "" : "."}${String(step)}`))
    .join("");
}

function pointer(path: readonly PropertyKey[]): string {
  return path.map((step) => `/${String(step).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

const typeNames: Readonly<Record<string, string>> = {
  string: "a string",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
  nonoptional: "given",
};

const units: Readonly<Record<string, string>> = { string: " characters", array: " items" };

function predicate(issue: Issue): string {
  switch (issue.code) {
    case "invalid_type":
      return `must be ${typeNames[issue.expected] ?? issue.expected}`;
    case "too_small":
      if (issue.origin in units) return `must have at least ${issue.minimum}${units[issue.origin]}`;
      return `must be ${issue.inclusive === false ? "above" : "at least"} ${issue.minimum}`;
    case "too_big":
      if (issue.origin in units) return `must have at most ${issue.maximum}${units[issue.origin]}`;
      return `must be ${issue.inclusive === false ? "below" : "at most"} ${issue.maximum}`;
    case "invalid_value":
      return `must be ${issue.values.length === 1 ? "" : "one of "}${issue.values.map(String).join(", ")}`;
    case "invalid_format":
      return issue.format === "uuid" ? "must be a UUID" : issue.message;
    case "unrecognized_keys":
      return `has unknown fields: ${issue.keys.join(", ")}`;
    default:
      return issue.message;
  }
}

/**
 * A message of our own schemas either names its field already or is a predicate that follows the name ("must be …");
 * the library's own messages are replaced.
 */
function sentence(issue: Issue, of: Subject): string {
  const name = fieldName(issue.path);
  if (name !== "" && issue.message.startsWith(name)) return issue.message;
  const subject = name === "" ? of.name : name;
  if (issue.code === "invalid_type" && issue.message.endsWith("received undefined")) {
    return `${subject} is missing: it ${predicate(issue)}`;
  }
  const own = /^(must|is|has|cannot) /.test(issue.message);
  return `${subject} ${own ? issue.message : predicate(issue)}`;
}

function fieldErrors(issues: readonly Issue[], of: Subject): readonly FieldError[] {
  return issues
    .slice(0, ERRORS_SHOWN_MAX)
    .map((issue) => ({ pointer: `${of.pointer ?? ""}${pointer(issue.path)}`, detail: sentence(issue, of) }));
}

export function invalid(errors: readonly FieldError[]): Problem {
  const [first, ...others] = errors;
  const detail = first?.detail ?? "the request is invalid";
  const more = others.length === 0 ? "" : ` (and ${others.length} more)`;
  return problem("invalid-request", `${detail}${more}`, { errors });
}

const TOO_MUCH: FieldError = {
  pointer: "",
  detail: "the body is nested too deeply, or has too many fields that are wrong, to say which",
};

/** Undefined where the library's own recursion, or its lists of issues, exceed the stack. */
function parsed<Schema extends z.ZodType>(schema: Schema, value: unknown) {
  try {
    return schema.safeParse(value);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** The value as the schema puts it out, or a 400 that names each wrong field. */
export function validate<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  of: Subject = BODY,
): Result<z.output<Schema>> {
  const result = parsed(schema, value);
  if (result === undefined) return { ok: false, problem: invalid([TOO_MUCH]) };
  if (result.success) return { ok: true, value: result.data };
  const { errors, ...wrong } = invalid(fieldErrors(result.error.issues, of));
  return { ok: false, problem: of.pointer === undefined ? wrong : { ...wrong, ...(errors && { errors }) } };
}
