/**
 * The core runs in Node, in workerd and in a browser alike: simulated groups leave the same transcripts
 * in all three, hash by hash. It proves nothing about how fast they are.
 */
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";
import { expect, test } from "vitest";
import { bundle } from "../support/bundle.ts";
import { oneWorker } from "../support/one-worker.ts";
import { hashesOf } from "./runs.ts";

const RUNS = new URL("runs.ts", import.meta.url);
const SEEDS = 20;
const BROWSER = process.env.CHROMIUM ?? "/usr/bin/chromium";

const inNode = hashesOf(SEEDS);

test("simulated groups do something, and something else with every seed", () => {
  expect(new Set(inNode).size).toBe(SEEDS);
});

test("workerd runs them as Node does", async () => {
  const contents = await bundle(RUNS, "esm");
  const miniflare = oneWorker("runs", contents);
  try {
    const answer = await fetch(new URL(`?seeds=${SEEDS}`, await miniflare.ready));
    expect(await answer.json()).toEqual(inNode);
  } finally {
    await miniflare.dispose();
  }
});

test("Chromium runs them as Node does", async ({ skip }) => {
  if (!existsSync(BROWSER)) {
    const how = `There is no ${BROWSER}: run "apt-get install chromium", or name another one in CHROMIUM.`;
    if (process.env.CI) throw new Error(how);
    console.warn(`Not tested in a browser. ${how}`);
    skip(how);
  }
  const browser = await chromium.launch({ executablePath: BROWSER, args: ["--no-sandbox"] });
  try {
    const page = await browser.newPage();
    await page.addScriptTag({ content: await bundle(RUNS, "iife") });
    expect(await page.evaluate(`bundled.hashesOf(${SEEDS})`)).toEqual(inNode);
  } finally {
    await browser.close();
  }
});
