/** A group as JSON lines: given out, and taken in by another group in which nothing has happened yet. */
import { exportLine, exportParameters, importParameters } from "../../api/exports.ts";
import { type Problem, problem, type Result } from "../../api/problem.ts";
import { validate } from "../../api/validation.ts";
import type { ExportLine } from "../../replica/rpc.ts";
import { linesOf, UnreadableBody } from "../body.ts";
import { answer, type Handled, type RequestContext, type Route, streamedAnswer } from "../context.ts";
import * as declared from "../declarations/exports.ts";
import { expectOutcome, refusal } from "../requests.ts";

/** A record has no more than its command could have; what is quoted in it is quoted once more. */
const LINE_CHARACTERS_MAX = 4 * 1_048_576;
/** Lines of one call to the leader. */
const PART_LINES = 256;
const PART_CHARACTERS = 1_048_576;

async function exportGroup(context: RequestContext): Promise<Handled> {
  const parameters = validate(exportParameters, context.query);
  if (!parameters.ok) return parameters.problem;
  const read = await context.cluster.export(parameters.value.consistency);
  return read.ok ? streamedAnswer(read.value) : read.problem;
}

/** An import as far as this request has got with it. */
class Import {
  readonly #context: RequestContext;
  export_id: string | undefined;
  /** Taken in by the group, whoever sent them; unknown before it was asked. */
  taken = 0;
  done = false;
  /** Number of the line read last. */
  #line: number;
  #part: ExportLine[] = [];
  /** Number of the first line in it. */
  #first = 0;
  #characters = 0;

  constructor(context: RequestContext, from_line: number, export_id: string | undefined) {
    this.#context = context;
    this.#line = from_line - 1;
    this.export_id = export_id;
  }

  /** A problem ends it. */
  async line(text: string): Promise<Problem | undefined> {
    this.#line++;
    if (this.#line <= this.taken) return undefined;
    const item = lineFrom(text);
    if (!item.ok) {
      // What is before it is taken in: whoever mends it goes on there.
      return (await this.send()) ?? this.#failed(item.problem);
    }
    if (item.value.type === "export") this.export_id ??= item.value.export_id;
    if (this.export_id === undefined) {
      const detail =
        "an export begins with a line of type export; a part of one needs export_id and from_line";
      return problem("invalid-request", detail);
    }
    if (this.#part.length === 0) this.#first = this.#line;
    this.#part.push(item.value);
    this.#characters += text.length;
    const full = this.#part.length >= PART_LINES || this.#characters >= PART_CHARACTERS;
    // The first answer says how far others have got with it.
    return full || item.value.type === "export" ? this.send() : undefined;
  }

  async send(): Promise<Problem | undefined> {
    const { export_id } = this;
    const items = this.#part;
    if (items.length === 0 || export_id === undefined) return undefined;
    this.#part = [];
    this.#characters = 0;
    const made = await this.#context.cluster.import({ export_id, first: this.#first, items });
    if (!made.ok) return { ...made.problem, extra: { export_id, lines: this.taken } };
    const outcome = expectOutcome(made.value.outcome, "imported");
    if (outcome.type === "refused") return { ...refusal(outcome), extra: { export_id, lines: this.taken } };
    this.taken = outcome.lines;
    this.done = outcome.done;
    return undefined;
  }

  #failed({ detail, ...rest }: Problem): Problem {
    const { export_id, taken: lines } = this;
    return { ...rest, detail: `line ${this.#line}: ${detail}`, extra: { export_id, lines } };
  }
}

function lineFrom(text: string): Result<ExportLine> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { ok: false, problem: problem("invalid-request", "the line is not valid JSON") };
  }
  const line = validate(exportLine, value);
  return line.ok ? { ok: true, value: line.value as ExportLine } : line;
}

async function importGroup(context: RequestContext): Promise<Handled> {
  const parameters = validate(importParameters, context.query);
  if (!parameters.ok) return parameters.problem;
  const { from_line, export_id } = parameters.value;
  const going = new Import(context, from_line, export_id);
  try {
    for await (const text of linesOf(context.request, LINE_CHARACTERS_MAX)) {
      const failure = await going.line(text);
      if (failure !== undefined) return failure;
    }
  } catch (error) {
    if (!(error instanceof UnreadableBody)) throw error;
    return problem("invalid-request", error.message, { extra: { lines: going.taken } });
  }
  const failure = await going.send();
  if (failure !== undefined) return failure;
  if (going.export_id === undefined) return problem("invalid-request", "the body is empty");
  const { taken: lines, done } = going;
  return answer(context, done ? 200 : 202, { export_id: going.export_id, lines, done });
}

export const exportRoutes: readonly Route[] = [
  {
    method: "GET",
    path: "/api/v1/cluster/export",
    access: "operator",
    declares: declared.exportGroup,
    handle: exportGroup,
  },
  {
    method: "POST",
    path: "/api/v1/cluster/import",
    access: "operator",
    declares: declared.importGroup,
    handle: importGroup,
  },
];
