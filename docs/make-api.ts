/** Writes docs/api.md, the contract as the schemas have it: `npm run docs`. */
import { writeFile } from "node:fs/promises";
import { problemCodes, problemIsRetryable, problemStatus, problemTitle } from "../src/api/problem.ts";
import { tags } from "../src/router/declaration.ts";
import { openApi } from "../src/router/openapi.ts";
import { routes } from "../src/router/table.ts";

const PAGE = new URL("./api.md", import.meta.url);

interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly format?: string;
  readonly description?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly required?: readonly string[];
  readonly anyOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
}

interface Operation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description: string;
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly description?: string;
    readonly schema: Schema;
  }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
  readonly responses: Readonly<
    Record<
      string,
      {
        readonly description: string;
        readonly headers?: Readonly<Record<string, unknown>>;
        readonly content?: Readonly<Record<string, { readonly schema: Schema }>>;
      }
    >
  >;
}

interface Document {
  readonly info: { readonly description: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

const INTEGER_LIMIT = Number.MAX_SAFE_INTEGER;

function bounds(schema: Schema): string {
  const { minimum, maximum, minItems, maxItems, minLength, maxLength } = schema;
  const range = (min: number | undefined, max: number | undefined, unit: string): readonly string[] => {
    const least = min === undefined || min === -INTEGER_LIMIT ? undefined : min;
    const most = max === undefined || max === INTEGER_LIMIT ? undefined : max;
    if (least === undefined && most === undefined) return [];
    return [`${least ?? ""}…${most ?? ""}${unit}`];
  };
  return [
    ...range(minimum, maximum, ""),
    ...range(minItems, maxItems, " items"),
    ...range(minLength, maxLength, " characters"),
  ].join(", ");
}

function typeOf(schema: Schema): string {
  if (schema.$ref !== undefined)
    return `[${schema.$ref.split("/").at(-1)}](#${schema.$ref.split("/").at(-1)?.toLowerCase()})`;
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``;
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${String(value)}\``).join(" ");
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices !== undefined) return [...new Set(choices.map(typeOf))].join(" or ");
  if (schema.type === "array")
    return `list of ${schema.items === undefined ? "anything" : typeOf(schema.items)}`;
  if (schema.type === "object" && schema.properties !== undefined) {
    return `{${Object.entries(schema.properties)
      .map(([name, field]) => `${name}: ${typeOf(field)}`)
      .join(", ")}}`;
  }
  if (schema.type === undefined)
    return schema.allOf === undefined ? "anything" : schema.allOf.map(typeOf).join(" and ");
  return [schema.type, schema.format]
    .flat()
    .filter((part) => part !== undefined)
    .join(" ");
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}

function fieldRow(name: string, schema: Schema, required: boolean): string {
  const preset = schema.default === undefined ? "" : `default \`${JSON.stringify(schema.default)}\``;
  const notes = [required ? "" : "optional", bounds(schema), preset, schema.description ?? ""].filter(
    (note) => note !== "",
  );
  return `| \`${name}\` | ${cell(typeOf(schema))} | ${cell(notes.join("; "))} |`;
}

function fields(schema: Schema): readonly string[] {
  if (schema.allOf !== undefined) return schema.allOf.flatMap(fields);
  return Object.entries(schema.properties ?? {}).map(([name, field]) =>
    fieldRow(name, field, schema.required?.includes(name) === true),
  );
}

function table(rows: readonly string[]): string {
  return ["| field | type | |", "|---|---|---|", ...rows].join("\n");
}

function bodySection(schema: Schema): string {
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices !== undefined)
    return choices.map((choice, i) => `Body, form ${i + 1}:\n\n${bodySection(choice)}`).join("\n\n");
  const rows = fields(schema);
  return rows.length === 0 ? `Body: ${typeOf(schema)}` : table(rows);
}

function operationSection(method: string, path: string, operation: Operation): string {
  const { summary, description, parameters = [], requestBody, responses } = operation;
  const own = parameters.filter((parameter) => parameter.in !== "path");
  const [bodyType, body] = Object.entries(requestBody?.content ?? {})[0] ?? [];
  const answers = Object.entries(responses)
    .filter(
      ([, { content }]) =>
        content === undefined || Object.keys(content).some((type) => !type.includes("problem")),
    )
    .map(([status, answer]) => {
      const shapes = Object.entries(answer.content ?? {})
        .filter(([type]) => !type.includes("problem"))
        .map(([type, { schema }]) => (type === "application/json" ? typeOf(schema) : `\`${type}\``));
      const headers = Object.keys(answer.headers ?? {}).map((name) => `\`${name}\``);
      return `| ${status} | ${cell(answer.description)} | ${cell(shapes.join(", "))} | ${headers.join(" ")} |`;
    });
  const problems = Object.entries(responses).flatMap(([status, { content, description: text }]) =>
    content !== undefined && "application/problem+json" in content
      ? [`${status} ${Array.from(text.matchAll(/`([a-z-]+)`:/g), ([, code]) => `\`${code}\``).join(" ")}`]
      : [],
  );
  return [
    `### \`${method.toUpperCase()} ${path}\``,
    `${summary}. ${description.replaceAll("\n\n", " ")}`,
    ...(own.length === 0
      ? []
      : [
          table(
            own.map(({ name, in: place, schema, description: meaning }) =>
              fieldRow(
                name,
                {
                  ...schema,
                  description: [place === "header" ? "Header." : "", meaning ?? ""].join(" ").trim(),
                },
                false,
              ),
            ),
          ),
        ]),
    ...(body === undefined
      ? []
      : [bodyType === "application/json" ? bodySection(body.schema) : `Body: \`${bodyType}\``]),
    ["| answer | | body | headers |", "|---|---|---|---|", ...answers].join("\n"),
    `Problems: ${problems.join(" · ")}`,
  ].join("\n\n");
}

function schemaSection([name, schema]: readonly [string, Schema]): string {
  const rows = fields(schema);
  return `### ${name}\n\n${rows.length === 0 ? typeOf(schema) : table(rows)}`;
}

/** The page as it should be. */
export function apiPage(): string {
  const document = openApi(routes) as unknown as Document;
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
  const sections = Object.entries(tags).flatMap(([tag, meaning]) => {
    const own = operations.filter(({ operation }) => operation.tags.includes(tag));
    if (own.length === 0) return [];
    return [
      `## ${tag}\n\n${meaning}`,
      ...own.map(({ path, method, operation }) => operationSection(method, path, operation)),
    ];
  });
  const codes = problemCodes.map(
    (code) =>
      `| \`${code}\` | ${problemStatus(code)} | ${problemTitle(code)} | ${problemIsRetryable(code) ? "yes" : ""} |`,
  );
  return `${[
    "# HTTP contract",
    "Made from the schemas by `npm run docs`; the same is served as `GET /openapi.json`, with a page at `/docs`.",
    document.info.description,
    ...sections,
    "## Problems",
    ["| code | status | | retryable |", "|---|---|---|---|", ...codes].join("\n"),
    "## Schemas",
    ...Object.entries(document.components.schemas)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(schemaSection),
  ].join("\n\n")}\n`;
}

if (import.meta.main) await writeFile(PAGE, apiPage());
