/** The description of the contract: it validates, and no route is missing from it. */
import { readFile } from "node:fs/promises";
import { Validator } from "@seriousme/openapi-schema-validator";
import { describe, expect, it } from "vitest";
import { apiPage } from "../../docs/make-api.ts";
import { openApi } from "../../src/router/openapi.ts";
import { routes } from "../../src/router/table.ts";

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly operationId: string }>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
}

// As it is sent.
const text = JSON.stringify(openApi(routes));
const document = JSON.parse(text) as Document;

describe("the OpenAPI document", () => {
  it("is valid OpenAPI 3.1", async () => {
    const validator = new Validator();
    const { valid, errors } = await validator.validate(JSON.parse(text));
    expect(errors).toBeUndefined();
    expect([valid, validator.version]).toEqual([true, "3.1"]);
  });

  it("has every route of the table, each under a name of its own", () => {
    const described = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const table = routes.map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, "{$1}")}`);
    expect(described.toSorted()).toEqual([...new Set(table)].toSorted());
    const ids = Object.values(document.paths).flatMap((methods) =>
      Object.values(methods).map(({ operationId }) => operationId),
    );
    expect(ids.toSorted()).toEqual([...new Set(ids)].toSorted());
  });

  it("refers to nothing that it does not define", () => {
    const referred = Array.from(text.matchAll(/"\$ref":"([^"]+)"/g), ([, ref = ""]) => ref);
    expect(referred.length).toBeGreaterThan(20);
    for (const ref of new Set(referred)) {
      const [, name = ""] = /^#\/components\/schemas\/(.+)$/.exec(ref) ?? [];
      expect([ref, name in document.components.schemas]).toEqual([ref, true]);
    }
  });
});

describe("docs/api.md", () => {
  it("says what the schemas say: after a merge, `npm run docs` writes it anew", async () => {
    const page = new URL("../../docs/api.md", import.meta.url);
    expect(await readFile(page, "utf8")).toBe(apiPage());
  });
});
