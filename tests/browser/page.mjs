// Walks through the status page in a real browser, and prints what it found as JSON.
// Usage: node page.mjs URL SCREENSHOTS FIFTY LOCKED, where FIFTY is a page of fifty stacks, and LOCKED one that asks for
// the token `the-right-token`; BROWSER_TOOLS is the folder with puppeteer-core and axe-core.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const [url, pictures, fifty, locked] = process.argv.slice(2);
const require = createRequire(`${process.env.BROWSER_TOOLS}/`);
const puppeteer = require("puppeteer-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb"],
});
const found = { violations: [], foreign: [], errors: [], walk: [], script: {}, events: false, fifty: {} };

async function open(path, width, height, scheme) {
  const page = await browser.newPage();
  await page.setViewport({ width, height, deviceScaleFactor: 1, isMobile: width < 600, hasTouch: width < 600 });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }, { name: "prefers-reduced-motion", value: "reduce" }]);
  page.on("request", (request) => { if (![url, fifty, locked, "data:"].some((own) => request.url().startsWith(own))) found.foreign.push(request.url()); });
  page.on("console", (message) => { if (message.type() === "error" && !message.text().includes("status of 401")) found.errors.push(message.text()); });
  page.on("pageerror", (error) => found.errors.push(String(error)));
  await page.goto(new URL(path, url).href, { waitUntil: "domcontentloaded" });
  await page.waitForSelector("h1");
  return page;
}

// The checker is put in from outside of the page, past its policy, which stays in force for the page itself.
async function check(page, where) {
  const session = await page.createCDPSession();
  await session.send("Runtime.evaluate", { expression: axe });
  const { result } = await session.send("Runtime.evaluate", {
    expression: "axe.run(document, {resultTypes: ['violations']}).then((r) => JSON.stringify(r.violations.map((v) => ({id: v.id, nodes: v.nodes.slice(0, 4).map((n) => n.target.join(' ') + ': ' + n.failureSummary)}))))",
    awaitPromise: true, returnByValue: true,
  });
  for (const violation of JSON.parse(result.value)) found.violations.push({ where, ...violation });
}

const focus = (page) => page.evaluate(() => { const node = document.activeElement; return `${node.tagName.toLowerCase()} ${node.id || node.className || node.textContent.trim().slice(0, 30)}`; });
async function tabTo(page, selector, most) {
  for (let presses = 1; presses <= most; presses += 1) {
    await page.keyboard.press("Tab");
    if (await page.evaluate((selector) => document.activeElement.matches(selector), selector)) return presses;
  }
  throw new Error(`Tab never comes to ${selector}; it is at ${await focus(page)}`);
}

try {
  for (const [name, width, height, scheme] of [["light", 1280, 900, "light"], ["dark", 1280, 900, "dark"], ["phone", 390, 844, "light"]]) {
    const page = await open("/", width, height, scheme);
    await page.waitForSelector(".stack");
    await check(page, `overview ${name}`);
    await page.screenshot({ path: `${pictures}/status-${name}.png` });
    await page.goto(`${url}/stacks/production`);
    await page.waitForSelector(".rows tbody tr");
    for (const tab of ["objects", "plan", "drift", "history", "graph", "pulls"]) {
      await page.click(`#tab-${tab}`);
      await page.waitForFunction((tab) => document.querySelector(`#tab-${tab}`).getAttribute("aria-selected") === "true", {}, tab);
      if (tab === "plan") await page.waitForSelector(".plan .action");
      if (tab === "graph") await page.waitForSelector(".graph svg");
      await new Promise((resolve) => setTimeout(resolve, 150));
      await check(page, `${tab} ${name}`);
      if (name === "light" && ["plan", "graph"].includes(tab)) await page.screenshot({ path: `${pictures}/status-${tab}.png` });
    }
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (wide > 0) found.errors.push(`${name}: the page is ${wide} px wider than the window`);
    await page.close();
  }

  // By keyboard alone: skip link, filter, a stack, its tabs, the graph's zoom, and back.
  const page = await open("/", 1280, 900, "light");
  await page.waitForSelector(".stack");
  await page.keyboard.press("Tab");
  found.walk.push(await focus(page));
  await tabTo(page, "#filter", 12);
  await page.keyboard.type("produc");
  await page.waitForFunction(() => document.querySelectorAll(".stack").length === 1);
  await tabTo(page, ".stack a.name", 4);
  await page.keyboard.press("Enter");
  await page.waitForSelector("[role=tablist]");
  found.walk.push(await focus(page));
  await tabTo(page, "[role=tab]", 6);
  await page.keyboard.press("Home");
  await page.waitForFunction(() => document.activeElement.id === "tab-objects");
  for (const expected of ["plan", "drift", "history", "graph"]) {
    await page.keyboard.press("ArrowRight");
    await page.waitForFunction((id) => document.activeElement.id === `tab-${id}`, {}, expected);
  }
  found.walk.push(await focus(page));
  await page.waitForSelector(".graph svg");
  await tabTo(page, ".graph", 9);
  const width = () => page.$eval(".graph svg", (svg) => Number(svg.getAttribute("width")));
  const before = await width();
  await page.keyboard.press("+");
  const after = await width();
  found.walk.push(after > before ? "graph zooms" : `graph does not zoom: ${before} ${after}`);
  await page.goBack();
  await page.waitForSelector(".stack");
  found.walk.push(await page.title());

  // Many objects: listed, filtered and paged.
  const large = await open("/stacks/large", 1280, 900, "light");
  await large.waitForSelector(".rows tbody tr");
  const metric = async () => (await large.metrics()).ScriptDuration * 1000;
  found.script.list = await metric();
  found.script.rows = await large.$$eval(".rows tbody tr", (rows) => rows.length);
  const start = await metric();
  await large.evaluate(() => { const input = document.querySelector("#objects-filter"); input.value = "object-09"; input.dispatchEvent(new Event("input")); });
  found.script.filter = (await metric()) - start;
  found.script.shown = await large.$eval("#panel .shown", (node) => node.textContent);

  // Fifty stacks: all listed, on a phone too, and one of them found by typing.
  for (const [name, width, height, scheme] of [["phone", 390, 844, "dark"], ["wide", 1280, 900, "light"]]) {
    const many = await open(fifty, width, height, scheme);
    await many.waitForSelector(".stack");
    found.fifty[name] = await many.$$eval(".stack", (stacks) => stacks.length);
    await check(many, `fifty ${name}`);
    const over = await many.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (over > 0) found.errors.push(`fifty ${name}: the page is ${over} px wider than the window`);
    const began = (await many.metrics()).ScriptDuration * 1000;
    await many.focus("#filter");
    await many.keyboard.type("stack-42");
    await many.waitForFunction(() => document.querySelectorAll(".stack").length === 1);
    found.fifty[`${name} filter`] = (await many.metrics()).ScriptDuration * 1000 - began;
    await many.close();
  }

  // Where a token is asked for, a wrong one is told, and the right one lets in.
  const door = await open(locked, 390, 844, "dark");
  await check(door, "door");
  for (const token of ["a-wrong-token", "the-right-token"]) {
    await door.focus("#token");
    await Promise.all([door.waitForNavigation(), door.keyboard.type(token + "\n")]);
    if (token === "a-wrong-token") {
      found.walk.push(await door.$eval("[role=alert]", (alert) => alert.textContent));
      await check(door, "door, wrong");
    }
  }
  await door.waitForSelector(".stack");
  found.walk.push(new URL(door.url()).pathname);
  await door.close();

  // An event draws what changed without anybody asking.
  await page.bringToFront();
  await page.goto(`${url}/stacks/moving`, { waitUntil: "domcontentloaded" });
  await page.waitForSelector(".shown");
  const text = () => page.$eval("main > .shown", (node) => node.textContent);
  const first = await text();
  await page.waitForFunction((first) => document.querySelector("main > .shown").textContent !== first, { timeout: 10000 }, first);
  found.events = true;
} catch (error) {
  found.errors.push(String(error.stack || error));
}
await browser.close();
process.stdout.write(JSON.stringify(found));
