// A real browser, frame by frame: headless Chromium opens the page of `wsbench conformance serve` and runs every case of it
// with the plain WebSocket API; what comes out must be what is pinned in tests/conformance/chromium.expect.
//
//   node conformance.mjs WSBENCH [--bless]        (--bless rewrites the pinned file)
//   CHROMIUM=/path/to/chromium                    (default: /usr/bin/chromium)
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chromium } from "playwright-core";

const [binary, ...more] = process.argv.slice(2);
const known = new URL("../conformance/chromium.expect", import.meta.url).pathname;
// Every opcode, fragment, text and close; of compression, each kind of offer once, with and without fragments.
const cases = "1 2 3 4 5 6 7 10 F C 12.1.4 12.1.11 12.2.4 12.4.4 13.1.4 13.2.4 13.3.4 13.4.4 13.5.4 13.6.4 13.7.4".split(" ");
const limit = 300_000;
const quiet = ["disable-gpu", "disable-quic", "no-first-run", "disable-background-networking", "disable-component-update", "disable-sync"];

const serve = spawn(binary, ["conformance", "serve", ...cases, "--listen", "127.0.0.1:0", "--once", "--expect", known, ...more], {
  stdio: ["ignore", "inherit", "pipe"],
});
const ended = once(serve, "exit");
const address = new Promise((resolve, reject) => {
  let said = "";
  serve.stderr.setEncoding("utf8").on("data", (text) => {
    process.stderr.write(text);
    said += text;
    const found = said.match(/http:\/\/[0-9.:]+\//);
    if (found) resolve(found[0]);
  });
  ended.then(() => reject(new Error("wsbench conformance serve ended before it listened")));
});
const late = setTimeout(() => {
  console.error(`not done after ${limit / 1000} s`);
  serve.kill("SIGKILL");
}, limit);

let browser;
try {
  const url = await address;
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  browser = await chromium.launch({ executablePath, args: ["--headless", "--no-sandbox", ...quiet.map((flag) => `--${flag}`)] });
  const page = await browser.newPage();
  page.on("pageerror", (error) => console.error(`the page: ${error}`));
  await page.goto(`${url}?auto&agent=chromium`);
  const [code] = await ended;
  process.exitCode = code ?? 1;
} finally {
  clearTimeout(late);
  await browser?.close();
  serve.kill();
}
