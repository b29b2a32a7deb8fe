import { describe } from "vitest";
import { createMemoryRecords } from "../../src/coordinator/index.ts";
import { recordsSuite } from "./records-suite.ts";

describe("records in memory", () => recordsSuite(createMemoryRecords));
