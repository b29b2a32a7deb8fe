/** What the routes that describe all others say of themselves. */
import { z } from "zod";
import type { Declaration } from "../declaration.ts";

export const getDescription: Declaration = {
  id: "getOpenApi",
  tag: "Cluster",
  summary: "This description",
  answers: {
    200: { is: "An OpenAPI 3.1 document.", body: z.looseObject({ openapi: z.string() }), headers: ["ETag"] },
    304: { is: "It is the one that `If-None-Match` names." },
  },
};

export const getPage: Declaration = {
  id: "getDocs",
  tag: "Cluster",
  summary: "A page to read this description and to try the routes",
  answers: { 200: { is: "A page.", body: z.string(), type: "text/html; charset=utf-8" } },
};

export const getViewer: Declaration = {
  id: "getDocsScript",
  tag: "Cluster",
  summary: "The script of that page",
  answers: {
    200: { is: "A script.", body: z.string(), type: "text/javascript; charset=utf-8", headers: ["ETag"] },
    304: { is: "It is the one that `If-None-Match` names." },
  },
};
