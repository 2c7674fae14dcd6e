// Opens what plumb prints for a browser — a plan as a page, a graph as a picture — and prints what it found as JSON.
// Usage: node report.mjs PLAN.html GRAPH.svg; BROWSER_TOOLS is the folder with puppeteer-core and axe-core.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [plan, graph] = process.argv.slice(2).map((path) => pathToFileURL(path).href);
const require = createRequire(`${process.env.BROWSER_TOOLS}/`);
const puppeteer = require("puppeteer-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"],
});
const found = { violations: [], foreign: [], errors: [], backgrounds: {}, opened: 0, drawn: {} };

async function open(url, width, height, scheme) {
  const page = await browser.newPage();
  await page.setViewport({ width, height });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  page.on("request", (request) => { if (request.url() !== url && !request.url().startsWith("data:")) found.foreign.push(request.url()); });
  page.on("console", (message) => { if (message.type() === "error") found.errors.push(`${url}: ${message.text()}`); });
  page.on("pageerror", (error) => found.errors.push(String(error)));
  await page.goto(url, { waitUntil: "load" });
  return page;
}

// The checker is put in past the page's policy, which stays in force for the page itself.
async function check(page, where) {
  const session = await page.createCDPSession();
  await session.send("Runtime.evaluate", { expression: axe });
  const { result } = await session.send("Runtime.evaluate", {
    expression: "axe.run(document, {resultTypes: ['violations']}).then((r) => JSON.stringify(r.violations.map((v) => ({id: v.id, nodes: v.nodes.slice(0, 4).map((n) => n.target.join(' ') + ': ' + n.failureSummary)}))))",
    awaitPromise: true, returnByValue: true,
  });
  for (const violation of JSON.parse(result.value)) found.violations.push({ where, ...violation });
}

try {
  for (const [name, width, height, scheme] of [["light", 1280, 900, "light"], ["dark", 1280, 900, "dark"], ["phone", 390, 844, "light"]]) {
    const page = await open(plan, width, height, scheme);
    await check(page, `plan ${name}`);
    found.backgrounds[name] = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (over > 0) found.errors.push(`plan ${name}: the page is ${over} px wider than the window`);
    if (name === "light") {
      // What is folded opens by keyboard.
      const summaries = await page.$$("summary");
      for (const summary of summaries) {
        await summary.focus();
        const before = await summary.evaluate((node) => node.parentElement.open);
        await page.keyboard.press("Enter");
        if ((await summary.evaluate((node) => node.parentElement.open)) !== before) found.opened += 1;
      }
      found.summaries = summaries.length;
      await check(page, "plan unfolded");
    }
    await page.close();
    const drawn = await open(graph, width, height, scheme);
    found.drawn[name] = await drawn.evaluate(() => {
      const box = document.documentElement.getBoundingClientRect();
      return { root: document.documentElement.tagName, texts: [...document.querySelectorAll("text")].map((node) => node.textContent), wide: box.width > 50 && box.height > 20 };
    });
    await drawn.close();
  }
} catch (error) {
  found.errors.push(String(error.stack || error));
}
await browser.close();
process.stdout.write(JSON.stringify(found));
