// The browser, and what every page of it must keep to.
import { chromium } from "playwright-core";

export const PATIENCE = Number(process.env.LAB_PATIENCE ?? 120) * 1000; // milliseconds; machines that run tests are slow
const WIDE = { width: 1440, height: 900 };

export function check(condition, text) {
  if (!condition) throw new Error(text);
}

// Runs a step and reports it.
export async function step(name, action) {
  const begun = Date.now();
  try {
    await action();
    console.log(`ok    ${name} (${((Date.now() - begun) / 1000).toFixed(1)} s)`);
  } catch (e) {
    console.log(`FAIL  ${name} (${((Date.now() - begun) / 1000).toFixed(1)} s): ${e.message}`);
    throw e;
  }
}

export async function waitFor(what, probe, limit = PATIENCE) {
  const until = Date.now() + limit;
  let last;
  while (Date.now() < until) {
    last = await probe();
    if (last) return last;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${what}: not within ${limit / 1000} s; last seen: ${JSON.stringify(last)}`);
}

export function launch() {
  // As root there is no sandbox to be had; the pages are our own.
  return chromium.launch({ executablePath: process.env.LAB_CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
}

// Somebody with a browser window of their own. `faults` gathers what no page may do.
export class Person {
  faults = [];
  mayLose = false; // while the server is away, failing connections are no fault

  static async arrive(browser, name, link, options = {}) {
    const person = new Person();
    person.name = name;
    person.context = await browser.newContext({ viewport: WIDE, colorScheme: "light", locale: "en", ...options });
    person.context.setDefaultTimeout(PATIENCE);
    await person.context.grantPermissions(["clipboard-read", "clipboard-write"]);
    person.page = await person.context.newPage();
    person.watch(new URL(link).origin);
    await person.page.goto(link);
    return person;
  }

  watch(origin) {
    this.page.on("pageerror", (e) => this.faults.push(`error: ${e.message}`));
    this.page.on("console", (message) => {
      if (message.type() === "error" && !this.mayLose) this.faults.push(`console: ${message.text()}`);
    });
    this.page.on("request", (request) => {
      if (new URL(request.url()).origin !== origin) this.faults.push(`asked elsewhere: ${request.url()}`);
    });
  }

  good() {
    check(this.faults.length === 0, `${this.name}'s page: ${this.faults.join("; ")}`);
  }

  button(name) {
    return this.page.getByRole("button", { name, exact: typeof name === "string" });
  }

  // What the terminals that are in sight show; lines that were wrapped cannot be told from others.
  async screen() {
    return (await this.page.locator(".xterm-rows").allInnerTexts()).join("\n").replaceAll("\u00a0", " ");
  }

  async sees(text) {
    return waitFor(`${this.name} sees ${text}`, async () => {
      const screen = await this.screen();
      return text instanceof RegExp ? text.exec(screen) : screen.includes(text) && [text];
    });
  }

  // What has scrolled out above.
  async seesAbove(text) {
    await this.page.locator(".pane").first().hover();
    await this.page.mouse.wheel(0, -20000);
    await this.sees(text);
    await this.page.mouse.wheel(0, 20000);
  }

  async type(command) {
    await this.page.keyboard.type(command);
    await this.page.keyboard.press("Enter");
  }

  async passed(say) {
    await this.page.locator("li.check.passed", { hasText: say }).first().waitFor();
  }
}

// Every control has a name for those who do not see it.
export async function nameless(page) {
  return page.evaluate(() =>
    [...document.querySelectorAll("button, a[href], input, select, [role=tab], [role=separator]")]
      .filter((e) => e.checkVisibility() && !e.closest(".xterm"))
      .filter((e) => !(e.getAttribute("aria-label") || e.innerText?.trim() || e.labels?.length || e.title))
      .map((e) => e.outerHTML.slice(0, 120)));
}

// Words whose contrast with their ground is below 4.5 (WCAG AA), the terminals' aside: xterm sees to those.
export async function faintWords(page) {
  return page.evaluate(() => {
    const parse = (colour) => {
      const n = colour.match(/[\d.]+/g).map(Number);
      return { r: n[0], g: n[1], b: n[2], a: n[3] ?? 1 };
    };
    const light = ({ r, g, b }) => {
      const part = [r, g, b].map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
      return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
    };
    const ground = (element) => {
      for (let e = element; e; e = e.parentElement) {
        const colour = parse(getComputedStyle(e).backgroundColor);
        if (colour.a > 0.99) return colour;
      }
      return { r: 255, g: 255, b: 255, a: 1 };
    };
    const faint = new Set();
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = texts.nextNode(); node; node = texts.nextNode()) {
      const e = node.parentElement;
      if (!node.data.trim() || !e.checkVisibility() || e.closest(".xterm, .off-screen, noscript, :disabled, option, .skips")) continue;
      const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(e))];
      const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      if (contrast < 4.5) faint.add(`${node.data.trim().slice(0, 40)} (${contrast.toFixed(2)})`);
    }
    return [...faint];
  });
}

export async function overflows(page) {
  return page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
}
