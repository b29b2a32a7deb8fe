/**
 * The OpenAPI 3.1 document of a route table. OpenAPI 3.1 speaks JSON Schema 2020-12, which zod writes; what remains is
 * to put its definitions where the document wants them.
 */
import { z } from "zod";
import { type ProblemCode, problemSchema, problemStatus, problemTitle } from "../api/problem.ts";
import { VERSION } from "../api/version.ts";
import type { Route } from "./context.ts";
import { answerHeaders, type DeclaredAnswer, tags } from "./declaration.ts";

type Json = Record<string, unknown>;

/** Where a problem's status comes with a pause to keep. */
const RETRY_STATUSES: ReadonlySet<number> = new Set([429, 503]);

const PATH_PARAMETERS: Readonly<Record<string, Json>> = {
  task_id: { type: "string", format: "uuid" },
  lease_id: { type: "string", description: "Unique for each grant: it is the fence." },
};

/** Schemas with an id of their own, once each. */
class Components {
  readonly schemas: Record<string, Json> = {};

  schema(schema: z.ZodType, io: "input" | "output"): Json {
    const { $schema, $defs, ...root } = z.toJSONSchema(schema, {
      io,
      unrepresentable: "any",
      override: ({ jsonSchema }) => {
        // An answer may gain fields, and a date's pattern says no more than its format.
        if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
        if (jsonSchema.format === "date-time" || jsonSchema.type !== "string") delete jsonSchema.pattern;
        delete jsonSchema.id;
      },
    }) as Json & { readonly $defs?: Readonly<Record<string, Json>> };
    for (const [name, definition] of Object.entries($defs ?? {})) this.#add(name, placed(definition));
    return placed(root);
  }

  #add(name: string, definition: Json): void {
    const known = this.schemas[name];
    if (known !== undefined && JSON.stringify(known) !== JSON.stringify(definition)) {
      throw new Error(`two different schemas are called ${name}: give one of them another id`);
    }
    this.schemas[name] = definition;
  }
}

function placed(schema: Json): Json {
  const text = JSON.stringify(schema).replaceAll("#/$defs/", "#/components/schemas/");
  return JSON.parse(text) as Json;
}

function content(type: string, schema: Json): Json {
  return { [type]: { schema } };
}

function answerObject(components: Components, answer: DeclaredAnswer): Json {
  const { is, body, type = "application/json", headers = [] } = answer;
  return {
    description: is,
    ...(headers.length === 0
      ? {}
      : {
          headers: Object.fromEntries(
            headers.map((name) => [name, { description: answerHeaders[name], schema: { type: "string" } }]),
          ),
        }),
    ...(body === undefined ? {} : { content: content(type, components.schema(body, "output")) }),
  };
}

/** The problems that a route may answer, its own and those of its kind. */
export function problemsOf({ access, method, declares, path }: Route): readonly ProblemCode[] {
  const read = declares.query !== undefined || path.includes(":");
  return [
    ...new Set<ProblemCode>([
      ...(declares.body !== undefined ? (["invalid-request", "too-large"] as const) : []),
      ...(read ? (["invalid-request"] as const) : []),
      ...(access === "open" ? [] : (["unauthorized"] as const)),
      ...(access === "open" || access === "any" ? [] : (["role-not-allowed"] as const)),
      "rate-limited",
      ...(method === "GET" ? [] : (["origin-not-allowed"] as const)),
      ...(declares.problems ?? []),
      "replica-unknown",
      "internal",
      "misconfigured",
      "replica-stopped",
      "replica-unreachable",
      ...(access === "open" ? [] : (["not-configured"] as const)),
    ]),
  ];
}

function problemObjects(components: Components, route: Route): Json {
  const byStatus = new Map<number, readonly ProblemCode[]>();
  for (const code of problemsOf(route)) {
    const status = problemStatus(code);
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const schema = components.schema(problemSchema, "output");
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [
      status,
      {
        description: codes.map((code) => `\`${code}\`: ${problemTitle(code)}`).join("; "),
        ...(RETRY_STATUSES.has(status)
          ? { headers: { "Retry-After": { description: "Seconds to wait.", schema: { type: "integer" } } } }
          : {}),
        content: content("application/problem+json", {
          allOf: [schema, { type: "object", properties: { code: { enum: codes } } }],
        }),
      },
    ]),
  );
}

/** A status that is both an answer and a problem, like the 503 of health. */
function merged(problems: Json, answers: Json): Json {
  const both = Object.keys(answers).filter((status) => status in problems);
  const joint = both.map((status) => {
    const [answer, failure] = [answers[status], problems[status]] as [Json, Json];
    const description = `${String(answer.description)} Or ${String(failure.description)}`;
    const types = { ...(answer.content as Json | undefined), ...(failure.content as Json) };
    return [status, { ...failure, ...answer, description, content: types }] as const;
  });
  return { ...problems, ...answers, ...Object.fromEntries(joint) };
}

function parameters(components: Components, { path, declares }: Route): readonly Json[] {
  const inPath = Array.from(path.matchAll(/:(\w+)/g), ([, name = ""]) => {
    const schema = PATH_PARAMETERS[name] ?? { type: "string" };
    return { name, in: "path", required: true, schema };
  });
  const query = declares.query === undefined ? undefined : components.schema(declares.query, "input");
  const inQuery = Object.entries((query?.properties ?? {}) as Record<string, Json>).map(([name, schema]) => {
    const { description, ...rest } = schema;
    const required = (query?.required as readonly string[] | undefined)?.includes(name) === true;
    return {
      name,
      in: "query",
      required,
      ...(description === undefined ? {} : { description }),
      schema: rest,
    };
  });
  const key = {
    name: "Idempotency-Key",
    in: "header",
    required: false,
    description:
      "Kept 24 h, by token and route: the same key and body give the first answer again, another body is 422.",
    schema: { type: "string", pattern: "^[\\x21-\\x7e]{1,255}$" },
  };
  return [...inPath, ...inQuery, ...(declares.keyed === true ? [key] : [])];
}

const ACCESS_TEXT = {
  open: "Needs no token.",
  any: "Needs a token of any role.",
  submitter: "Needs a token with the role submitter or operator.",
  prover: "Needs a token with the role prover or operator.",
  operator: "Needs a token with the role operator.",
} as const;

function operation(components: Components, route: Route): Json {
  const { declares, access } = route;
  const { id, tag, summary, details, body, bodyType = "application/json" } = declares;
  const given = parameters(components, route);
  const answers = Object.fromEntries(
    Object.entries(declares.answers).map(([status, answer]) => [status, answerObject(components, answer)]),
  );
  return {
    operationId: id,
    tags: [tag],
    summary,
    description: [details, ACCESS_TEXT[access]].filter((text) => text !== undefined).join("\n\n"),
    ...(given.length === 0 ? {} : { parameters: given }),
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content: content(bodyType, components.schema(body, "input")),
          },
        }),
    responses: merged(problemObjects(components, route), answers),
    ...(access === "open" ? { security: [] } : {}),
    "x-troika-access": access,
  };
}

const INTRODUCTION = `A highly available coordinator for zero-knowledge proof work.

Every path also works under \`/replicas/{id}\`, where reads are answered from that replica's own state. Every answer
carries \`X-Request-ID\`. Errors are \`application/problem+json\` with a \`code\`; 429 means you, 503 means us and that
nothing happened, 504 \`commit-outcome-unknown\` that the write may commit later: repeat it under the same id or key.
Times are RFC 3339 in UTC, durations milliseconds, field elements decimal strings.`;

export function openApi(routes: readonly Route[]): Json {
  const components = new Components();
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const path = route.path.replaceAll(/:(\w+)/g, "{$1}");
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(components, route) };
  }
  const used = new Set(routes.map(({ declares }) => declares.tag));
  return {
    openapi: "3.1.0",
    info: {
      title: "Troika",
      version: VERSION,
      description: INTRODUCTION,
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [
      { url: "/", description: "The router: finds the leader." },
      {
        url: "/replicas/{replica}",
        description: "One replica's own routes.",
        variables: { replica: { default: "coordinator-1" } },
      },
    ],
    tags: Object.entries(tags).flatMap(([name, description]) =>
      used.has(name as keyof typeof tags) ? [{ name, description }] : [],
    ),
    security: [{ token: [] }],
    paths,
    components: {
      schemas: components.schemas,
      securitySchemes: {
        token: {
          type: "http",
          scheme: "bearer",
          description: "A token of the secret `TROIKA_TOKENS`. Without the secret a loopback host is open.",
        },
      },
    },
  };
}
