// Opens a report in headless Chromium and compares what a reader sees with report.json.
//
//   node report.mjs [REPORT.json REPORT.html]     (default: the golden files)
//   CHROMIUM=/path/to/chromium                    (default: /usr/bin/chromium)
import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const golden = new URL("../report/golden/", import.meta.url).pathname;
const [jsonPath = golden + "mixed.json", htmlPath = golden + "mixed.html"] = process.argv.slice(2);
const report = JSON.parse(readFileSync(jsonPath, "utf8"));
const url = pathToFileURL(resolve(htmlPath)).href;
const tests = [];
const test = (name, run) => tests.push([name, run]);

/** The rows of the table behind a chart, as texts. */
const table = (page, id) =>
  page.$eval(`#${id} .data table`, (t) => [...t.tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.textContent.trim())));

/** Exact nanoseconds of a cell in milliseconds, or null for an empty one. */
const ns = (cell) => (cell === "" ? null : Math.round(Number(cell) * 1e6));

const rows = report.summary.timeline.rows;
const overTime = {
  "delivery-time": ["delivery_p50_ns", "delivery_p99_ns", "delivery_max_ns"],
  heartbeat: ["beat_min_ns", "beat_p50_ns", "beat_max_ns"],
  "pong-time": ["pong_p50_ns", "pong_p99_ns", "pong_max_ns"],
  instrument: ["send_lag_max_ns", "loop_lag_max_ns"],
};

test("the verdict comes first and is the report's", async (page) => {
  const word = await page.$eval("header .badge", (badge) => badge.textContent);
  assert.ok(word.includes(report.verdict), word);
  assert.equal(await page.$eval("main > :first-child", (first) => first.tagName), "HEADER");
});

test("every finding is a row with its outcome, and every witness is shown", async (page) => {
  const shown = await page.$$eval("#checks table.checks tbody tr", (all) => all.map((row) => [row.className, row.querySelector("th").textContent]));
  assert.deepEqual(shown, report.findings.map((finding) => [finding.outcome, finding.check]));
  const witnesses = report.findings.filter((f) => f.outcome !== "pass").reduce((n, f) => n + f.witnesses.length, 0);
  assert.equal(await page.$$eval(".witnesses tbody tr", (all) => all.length), witnesses);
});

test("the latency table has report.json's percentiles", async (page) => {
  const names = { send_lag: "send lag", heartbeat_interval: "heartbeat" };
  const shown = await page.$$eval("#latency tbody tr", (all) =>
    all.map((row) => [row.querySelector("th").textContent, [...row.querySelectorAll("[data-ns]")].map((cell) => Number(cell.dataset.ns))]),
  );
  const byName = new Map(shown);
  let compared = 0;
  for (const [metric, distribution] of Object.entries(report.summary.latency)) {
    if (distribution.count === 0) continue;
    const value = (p) => distribution.percentiles.find((point) => point.percentile === p).value_ns;
    assert.deepEqual(byName.get(names[metric] ?? metric), [50, 90, 99, 99.9, 100].map(value), metric);
    compared += 1;
  }
  assert.ok(compared > 0 || Object.keys(report.summary.latency).length === 0);
});

test("charts over time hold report.json's rows, to the nanosecond", async (page) => {
  for (const [id, keys] of Object.entries(overTime)) {
    const present = rows.some((row) => keys.some((key) => row[key] != null));
    assert.equal((await page.$(`#${id}`)) !== null, present, id);
    if (!present) continue;
    const shown = await table(page, id);
    assert.deepEqual(shown.map((cells) => cells.slice(1).map(ns)), rows.map((row) => keys.map((key) => row[key] ?? null)), id);
  }
  for (const id of ["open", "copies"]) {
    if (!(await page.$(`#${id}`))) continue;
    assert.deepEqual((await table(page, id)).map((cells) => Number(cells[1])), rows.map((row) => row[id]), id);
  }
});

test("the spread chart holds publications of report.json", async (page) => {
  const series = report.summary.spread.series;
  if (series.length === 0) return;
  const shown = await table(page, "spread");
  const every = Math.max(1, Math.ceil(series.length / 600));
  const wanted = series.filter((_, n) => n % every === 0).map((p) => [p.first_ns, p.median_ns, p.last_ns]);
  assert.deepEqual(shown.map((cells) => cells.slice(1).map(ns)), wanted);
});

test("every chart is drawn: lines with an extent, inside their frame", async (page) => {
  const charts = await page.$$eval(".plot", (plots) =>
    plots.map((plot) => {
      const frame = plot.querySelector("svg").getBoundingClientRect();
      const lines = [...plot.querySelectorAll("svg > path[class^=s]")].map((path) => path.getBoundingClientRect());
      const inside = (box) => box.left >= frame.left - 1 && box.right <= frame.right + 1 && box.top >= frame.top - 1 && box.bottom <= frame.bottom + 1;
      return { id: plot.closest("figure").id, width: frame.width, lines: lines.length, inside: lines.every(inside) };
    }),
  );
  assert.ok(charts.length > 0 || rows.length === 0);
  for (const chart of charts) assert.ok(chart.width > 200 && chart.lines > 0 && chart.inside, JSON.stringify(chart));
});

test("the pointer reads the value under it", async (page) => {
  if (!(await page.$("#delivery-time"))) return;
  const plot = page.locator("#delivery-time .plot");
  const places = (await plot.getAttribute("data-x")).split(" ").map(Number);
  const n = rows.findIndex((row) => row.delivery_p50_ns != null);
  await plot.scrollIntoViewIfNeeded();
  const box = await plot.boundingBox();
  await page.mouse.move(box.x + (places[n] / 480) * box.width, box.y + box.height / 2);
  const tip = await plot.locator(".tip").textContent();
  const three = (ms) => (ms >= 1000 ? Number((ms / 1000).toPrecision(3)) + "s" : ms >= 1 ? Number(ms.toPrecision(3)) + "ms" : Number((ms * 1000).toPrecision(3)) + "µs");
  assert.ok(tip.includes("p50  " + three(rows[n].delivery_p50_ns / 1e6)), tip);
});

test("the arrow keys read values too, and Escape lets go", async (page) => {
  const plot = page.locator(".plot").first();
  if ((await plot.count()) === 0) return;
  await plot.focus();
  await page.keyboard.press("Home");
  const first = await plot.locator(".tip").textContent();
  await page.keyboard.press("ArrowRight");
  assert.notEqual(await plot.locator(".tip").textContent(), first);
  await page.keyboard.press("Escape");
  assert.equal(await plot.locator(".tip").isVisible(), false);
});

test("everything that can be focused has a name, every chart a title, every header a scope", async (page) => {
  const nameless = await page.$$eval("[tabindex], svg[role=img]", (all) =>
    all.filter((e) => !e.getAttribute("aria-label") && !document.getElementById(e.getAttribute("aria-labelledby")?.split(" ")[0])).length,
  );
  assert.equal(nameless, 0);
  assert.equal(await page.$$eval("th:not([scope])", (all) => all.length), 0);
  const ids = await page.$$eval("[id]", (all) => all.map((e) => e.id));
  assert.equal(new Set(ids).size, ids.length, "ids are unique");
});

test("text has contrast of at least 4.5 to 1", async (page) => {
  const poor = await page.evaluate(() => {
    const parse = (colour) => colour.match(/[\d.]+/g).map(Number);
    const light = ([r, g, b]) =>
      [r, g, b].map((c) => (c /= 255) && (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)).reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
    const behind = (e) => {
      for (; e; e = e.parentElement) {
        const colour = parse(getComputedStyle(e).backgroundColor);
        if (colour.length === 3 || colour[3] > 0.99) return colour;
      }
      return [255, 255, 255];
    };
    const poor = [];
    for (const e of document.querySelectorAll("h1 span, h2, h3, p, td, th, dt, dd, .badge, summary, li, pre, footer, .unit")) {
      const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
      if ((a + 0.05) / (b + 0.05) < 4.5) poor.push(e.tagName + "." + e.className);
    }
    return poor;
  });
  assert.deepEqual(poor, []);
});

test("nothing scrolls sideways", async (page) => {
  assert.ok((await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)) <= 0);
});

test("the file is below a megabyte", async () => {
  assert.ok(statSync(htmlPath).size < 1_000_000, String(statSync(htmlPath).size));
});

test("on paper nothing is cut off and every chart is there", async (page) => {
  await page.emulateMedia({ media: "print" });
  const { width, height } = page.viewportSize();
  await page.setViewportSize({ width: 700, height });
  const [over, charts] = await page.evaluate(() => [
    document.documentElement.scrollWidth - innerWidth,
    [...document.querySelectorAll(".plot svg")].filter((svg) => svg.getBoundingClientRect().height < 50).length,
  ]);
  await page.setViewportSize({ width, height });
  await page.emulateMedia({ media: null });
  assert.ok(over <= 0 && charts === 0, `${over} ${charts}`);
});

const shared = new Set([
  "every chart is drawn: lines with an extent, inside their frame",
  "the arrow keys read values too, and Escape lets go",
  "everything that can be focused has a name, every chart a title, every header a scope",
  "text has contrast of at least 4.5 to 1",
  "nothing scrolls sideways",
  "on paper nothing is cut off and every chart is there",
]);

// Pages of several runs have no report.json of their own: what holds for any page is asked of them.
const pages = [[url, tests]];
if (process.argv.length < 4) {
  for (const name of ["several.html", "repeats.html"]) pages.push([pathToFileURL(golden + name).href, tests.filter(([name]) => shared.has(name))]);
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
let failed = 0;
for (const [url, asked] of pages) {
  for (const [width, colorScheme] of [[1280, "light"], [1280, "dark"], [360, "light"]]) {
    const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme });
    const page = await context.newPage();
    const noise = [];
    page.on("console", (message) => noise.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => noise.push(`error: ${error.message}`));
    page.on("request", (request) => {
      if (request.url() !== url && !request.url().startsWith("data:")) noise.push(`request: ${request.url()}`);
    });
    await page.goto(url, { waitUntil: "load" });
    const file = url.split("/").at(-1);
    for (const [name, run] of [...asked, ["the console stays empty and no request leaves the page", async () => assert.deepEqual(noise, [])]]) {
      try {
        await run(page);
        console.log(`ok      ${file} ${width} ${colorScheme}: ${name}`);
      } catch (error) {
        failed += 1;
        console.log(`FAILED  ${file} ${width} ${colorScheme}: ${name}\n${error.message}`);
      }
    }
    await context.close();
  }
}
await browser.close();
process.exitCode = failed === 0 ? 0 : 1;
