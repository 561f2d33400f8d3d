// Reads our files with programs nobody here wrote: JUnit XML with libxml2, HdrHistogram's two text forms with HdrHistogramJS.
//
//   node formats.mjs [DIRECTORY]     with report.json, junit.xml, latency.hlog and delivery.hgrm; default: the golden files
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import hdr from "hdr-histogram-js";
import { validateXML } from "xmllint-wasm";

const here = (name) => new URL(name, import.meta.url).pathname;
const [directory] = process.argv.slice(2);
const golden = here("../report/golden/");
const path = directory
  ? { json: `${directory}/report.json`, junit: `${directory}/junit.xml`, hlog: `${directory}/latency.hlog`, hgrm: `${directory}/delivery.hgrm` }
  : { json: golden + "mixed.json", junit: golden + "mixed.junit.xml", hlog: golden + "mixed.hlog", hgrm: golden + "mixed.hgrm" };
const read = (file) => readFileSync(file, "utf8");
const report = JSON.parse(read(path.json));
let failed = 0;
const test = async (name, run) => {
  try {
    await run();
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}\n${error.stack}`);
  }
};

const valid = async (contents) =>
  validateXML({ xml: [{ fileName: "junit.xml", contents }], schema: [{ fileName: "junit.xsd", contents: read(here("junit.xsd")) }] });

await test("junit.xml is valid, and the validation can fail", async () => {
  const contents = read(path.junit);
  const result = await valid(contents);
  assert.ok(result.valid, JSON.stringify(result.errors, null, 2));
  assert.equal((await valid(contents.replace("<testcase ", "<testcaze "))).valid, false);
});

if (!directory) {
  await test("the junit.xml of repeats is valid, a suite a run, and sums up", async () => {
    const contents = read(golden + "repeats.junit.xml");
    const result = await valid(contents);
    assert.ok(result.valid, JSON.stringify(result.errors, null, 2));
    const counts = (tag) => [...contents.matchAll(new RegExp(`<${tag} [^>]*tests="(\\d+)" failures="(\\d+)" errors="(\\d+)"`, "g"))].map((m) => m.slice(1).map(Number));
    const [all] = counts("testsuites");
    const suites = counts("testsuite");
    assert.equal(suites.length, 3);
    assert.deepEqual(suites.reduce((a, b) => a.map((n, i) => n + b[i])), all);
    const names = [...contents.matchAll(/<testcase name="([^"]*)" classname="([^"]*)"/g)].map((m) => m.slice(1).join(" "));
    assert.equal(new Set(names).size, names.length, "every case is told apart");
  });
}

await test("junit.xml counts as report.json does", () => {
  const text = read(path.junit);
  const count = (outcome) => report.findings.filter((finding) => finding.outcome === outcome).length;
  const [, tests, failures, errors] = text.match(/<testsuite [^>]*tests="(\d+)" failures="(\d+)" errors="(\d+)"/).map(Number);
  assert.deepEqual([tests, failures, errors], [report.findings.length, count("fail"), count("inconclusive")]);
});

await test("the histograms of report.json open and agree with its percentiles", () => {
  for (const [metric, distribution] of Object.entries(report.summary.latency)) {
    const histogram = hdr.decodeFromCompressedBase64(distribution.hdr_base64);
    assert.equal(histogram.totalCount, distribution.count, metric);
    if (distribution.count === 0) continue;
    for (const { percentile, value_ns } of distribution.percentiles) {
      if (percentile === 0) continue;
      // A product such as 0.999 × 9000 may fall on either side of its rank: one sample up or down is the same answer.
      const rank = 100 / distribution.count;
      const low = histogram.getValueAtPercentile(Math.max(0, percentile - rank));
      const high = histogram.getValueAtPercentile(Math.min(100, percentile + rank));
      const agrees = value_ns >= low * 0.998 - 1 && value_ns <= high * 1.002 + 1;
      assert.ok(agrees, `${metric} p${percentile}: ${low} to ${high} against ${value_ns}`);
    }
  }
});

await test("the interval log opens, tag by tag, and holds every sample once", () => {
  const wanted = new Map();
  for (const row of report.summary.timeline.rows)
    for (const [metric, base64] of Object.entries(row.histograms ?? {}))
      wanted.set(metric, (wanted.get(metric) ?? 0) + hdr.decodeFromCompressedBase64(base64).totalCount);
  if (wanted.size === 0) for (const [metric, d] of Object.entries(report.summary.latency)) if (d.count > 0) wanted.set(metric, d.count);
  const reader = new hdr.HistogramLogReader(read(path.hlog));
  const seen = new Map();
  let last = 0;
  for (let histogram = reader.nextIntervalHistogram(); histogram; histogram = reader.nextIntervalHistogram()) {
    seen.set(histogram.tag, (seen.get(histogram.tag) ?? 0) + histogram.totalCount);
    assert.ok(histogram.startTimeStampMsec >= last, "intervals are in order of time");
    assert.ok(histogram.endTimeStampMsec > histogram.startTimeStampMsec);
    last = histogram.startTimeStampMsec;
  }
  assert.deepEqual(seen, wanted);
});

await test("the percentile table says what an independent histogram says", () => {
  const distribution = report.summary.latency.delivery;
  const theirs = hdr.decodeFromCompressedBase64(distribution.hdr_base64);
  const lines = read(path.hgrm).split("\n").filter((line) => /^ +[0-9.]+ [01]\.\d{12} +\d+/.test(line));
  assert.ok(lines.length > 10);
  for (const line of lines) {
    const [value, quantile, total] = line.trim().split(/ +/).map(Number);
    const rank = 100 / theirs.totalCount;
    const low = theirs.getValueAtPercentile(Math.max(0, quantile * 100 - rank)) / 1e6;
    const high = theirs.getValueAtPercentile(Math.min(100, quantile * 100 + rank)) / 1e6;
    assert.ok(value >= low * 0.998 - 0.001 && value <= high * 1.002 + 0.001, `${line} against ${low} to ${high}`);
    assert.ok(total >= Math.floor(quantile * theirs.totalCount), line);
  }
  assert.match(read(path.hgrm), new RegExp(`Total count    = +${distribution.count}\\]`));
});

process.exitCode = failed === 0 ? 0 : 1;
