// What a student does, with the teacher's part at the moments when there is something to see.
// node student.mjs STUDENT-LINK TEACHER-LINK
import { createInterface } from "node:readline";

import { check, faintWords, launch, nameless, overflows, Person, step, waitFor } from "./pages.mjs";
import { picture } from "./pictures.mjs";
import { assist, broadcast, endsAndIsExtended, looksAt, matrixShows } from "./teacher.mjs";

const [studentLink, teacherLink] = process.argv.slice(2);
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const browser = await launch();

const run = (s, nth = 0) => s.page.locator(".run-button").nth(nth).click();
const next = (s) => s.page.getByRole("button", { name: /^Next step/ }).click();
const idle = async (s) => {
  await s.page.locator(".lab .chip.running").waitFor();
  await s.page.locator(".job:not(.failed)").waitFor({ state: "detached" });
};

async function choosesExercise(s) {
  await s.page.getByRole("heading", { name: "Choose an exercise" }).waitFor();
  await s.page.getByRole("button", { name: /A first cluster/ }).click();
  await s.page.getByRole("heading", { name: "A first cluster" }).waitFor();
  await idle(s);
}

// In the middle of kubeadm init the page is loaded anew: its output goes on, and nothing is lost.
async function initAndReload(s) {
  await run(s);
  await s.sees(/\[[\w-]+\] /);
  await s.page.reload();
  await s.page.locator(".steps li.done").waitFor(); // it may show the next step by now
  await s.page.locator(".steps button").first().click();
  await s.passed("The control plane runs and node1 is Ready");
  await s.sees("kubeadm join");
  await s.seesAbove("kubeadm init --apiserver-advertise-address");
}

async function serverIsKilled(s, t) {
  for (const person of [s, t]) person.mayLose = true;
  console.log("restart");
  check((await answers.next()).value === "restarted", "the server did not come back");
  for (const person of [s, t]) await person.page.locator(".connection.open").waitFor();
  await s.page.locator(".screen-state").waitFor({ state: "detached" });
  await s.page.locator(".xterm-helper-textarea").focus();
  await s.type("echo alive-$((40+2))");
  await s.sees("alive-42");
  await s.seesAbove("kubeadm init --apiserver-advertise-address"); // printed before the server was killed
  for (const person of [s, t]) person.mayLose = false;
}

async function htmlStaysText(s) {
  await s.type("clear; echo '<img src=x onerror=alert(1)><b>bold</b>'");
  await s.sees(/^<img src=x onerror=alert\(1\)><b>bold<\/b>$/m);
  check((await s.page.locator(".terminals img, .xterm b").count()) === 0, "what a node printed became HTML");
}

async function keyboardLeavesTheTerminal(s) {
  await s.page.locator(".xterm-helper-textarea").first().focus();
  await s.page.keyboard.press("Control+Shift+ArrowUp");
  const role = () => s.page.evaluate(() => document.activeElement.getAttribute("role"));
  check((await role()) === "tab", "Ctrl+Shift+Up does not lead to the tab");
  await s.page.keyboard.press("ArrowDown");
  await waitFor("the focus in the terminal", () => s.page.evaluate(() => document.activeElement.className.includes("xterm")));
  await s.page.reload();
  await s.page.locator(".xterm").waitFor();
  await s.page.keyboard.press("Tab");
  const link = await s.page.evaluate(() => document.activeElement.textContent);
  check(link === "Skip to the exercise", `the first stop is "${link}"`);
}

async function yourKey(s) { // a page that is loaded anew shows the step in hand
  await run(s);
  await s.passed("kubectl on node1 finds the cluster");
  await run(s, 1);
  await next(s);
}

// The line for the other nodes, as it stands in node1's terminal.
async function joinLine(s) {
  await run(s);
  const found = await waitFor("the line to join", async () => {
    const text = (await s.screen()).replace(/\s+/g, "");
    return [...text.matchAll(/kubeadmjoin([\d.]+:\d+)--token(\w{6}\.\w{16})\\?--discovery-token-ca-cert-hash(sha256:[0-9a-f]{64})/g)].pop();
  });
  return `kubeadm join ${found[1]} --token ${found[2]} --discovery-token-ca-cert-hash ${found[3]}`;
}

async function joins(s, line, node) {
  await s.page.getByRole("button", { name: `Open a terminal in ${node}`, exact: true }).click();
  await s.page.getByRole("tab", { name: node, selected: true }).waitFor();
  await s.sees(/[#$] *$/m);
  await s.page.locator(".pane .xterm-helper-textarea").first().focus();
  await s.type(line);
  await s.passed(`${node} has joined and is Ready`);
}

async function hintAndSplit(s) {
  await s.button("Hint").click();
  await s.page.locator(".hint").waitFor();
  await s.button("Two side by side").click();
  await waitFor("two terminals", async () => (await s.page.locator(".pane .xterm").count()) === 2);
}

async function appearances(s) {
  for (const colorScheme of ["dark", "light"]) {
    await s.page.emulateMedia({ colorScheme });
    await s.page.locator(`html[data-theme=${colorScheme}]`).waitFor();
    await s.page.waitForTimeout(700); // transitions of colours
    const faint = await faintWords(s.page);
    check(faint.length === 0, `${colorScheme}: too faint: ${faint.join(", ")}`);
    if (colorScheme === "dark") await picture(s, "classroom-student-dark");
  }
  const without = await nameless(s.page);
  check(without.length === 0, `without a name: ${without.join("; ")}`);
}

async function inSpanish(s) {
  await s.button("Settings").click();
  await s.page.getByLabel("Language").selectOption("es");
  await s.button("Cerrar").click();
  await s.page.getByRole("heading", { name: "Comprobaciones" }).waitFor();
  check((await s.page.evaluate(() => document.documentElement.lang)) === "es", "the page's language is not told");
}

async function narrow(s) {
  await s.page.setViewportSize({ width: 820, height: 1100 });
  await s.button("Laboratorio").click();
  await s.page.getByRole("heading", { name: "Nodos" }).waitFor();
  check(!(await s.page.locator(".panel.exercise").isVisible()), "two panels at a time");
  check(!(await overflows(s.page)), "the page is wider than the window");
  await s.button("Terminales").click();
  await picture(s, "classroom-tablet-es");
  await s.page.setViewportSize({ width: 1440, height: 900 });
  await s.button("Ajustes").click();
  await s.page.getByLabel("Idioma").selectOption("en");
  await s.button("Close").click();
  if ((await s.page.locator(".pane").count()) > 1) await s.button("One terminal").click();
}

async function exerciseSeven(s) {
  await s.button("Exercises").click();
  await s.page.getByRole("dialog").getByRole("button", { name: /DockerCoins/ }).click();
  await s.page.getByRole("dialog").getByRole("button", { name: /^Begin/ }).click();
  await s.page.getByRole("heading", { name: /DockerCoins/ }).waitFor();
  await idle(s);
  await waitFor("the old lab's terminals to go", async () => (await s.page.locator(".tab.exited").count()) === 0);
  await run(s);
  await s.passed("All five Deployments are available");
  await s.passed("Coins are being counted");
}

// The page of the application, behind the classroom's second port.
async function portLink(s) {
  const link = s.page.getByRole("link", { name: /default\/webui/ });
  await link.waitFor();
  const [popup] = await Promise.all([s.context.waitForEvent("page"), link.click()]);
  await popup.waitForLoadState();
  check(new URL(popup.url()).port !== new URL(s.page.url()).port, "the application is on the page's own port");
  const words = async () => `${await popup.title()} ${await popup.innerText("body")}`;
  await waitFor(`the miner's page at ${popup.url()}`, async () => (await words()).includes("DockerCoin Miner"));
  await waitFor("its numbers", async () => popup.evaluate(async () => Number((await (await fetch("json")).json()).hashes) > 0));
  s.popup = popup;
}

async function scalesAndFindsTheBottleneck(s) {
  await next(s);
  await run(s);
  await s.passed("Ten workers are ready");
  await next(s);
  await run(s, 1);
  await s.passed("rng runs as a DaemonSet");
  await s.passed("The speed has passed 13");
  await s.page.getByText("All steps are done").waitFor();
}

// A page that was asked for over TLS opens its WebSockets over TLS, and its own policy lets it.
async function overTls(s, t) {
  for (const person of [s, t]) await person.context.close();
  console.log("tls");
  const link = (await answers.next()).value;
  check(link.startsWith("https://"), `the link is ${link}`);
  const p = await Person.arrive(browser, "the student over TLS", link, { ignoreHTTPSErrors: true });
  await p.page.locator(".connection.open").waitFor();
  await p.page.getByRole("tab", { name: "node1" }).first().click();
  await p.page.locator(".xterm-helper-textarea").first().focus();
  await p.type("echo secure-$((40+2))");
  await p.sees("secure-42");
  const port = await p.page.getByRole("link", { name: /default\/webui/ }).getAttribute("href");
  check(port.startsWith("https://"), `the port's link is ${port}`);
  p.good();
}

let failed = 0;
try {
  const s = await Person.arrive(browser, "the student", studentLink);
  const t = await Person.arrive(browser, "the teacher", teacherLink);
  await step("the student opens the link and chooses exercise 1", () => choosesExercise(s));
  await step("kubeadm init by a click; a reload in the middle loses nothing; the check turns green", () => initAndReload(s));
  await step("the teacher sees it live", () => matrixShows(t, 1));
  await step("the server is killed and started: page and terminal go on", () => serverIsKilled(s, t));
  await step("HTML that a node prints stays text", () => htmlStaysText(s));
  await step("the keyboard leaves a terminal and comes back; the first stop skips", () => keyboardLeavesTheTerminal(s));
  await step("step 2 by clicking", () => yourKey(s));
  let line;
  await step("node2 joins by typing, in a terminal of its own", async () => { line = await joinLine(s); await joins(s, line, "node2"); });
  await step("a hint, and two terminals side by side", () => hintAndSplit(s));
  await picture(s, "classroom-student");
  await step("light and dark: no faint words, no nameless controls", () => appearances(s));
  await step("in Spanish", () => inSpanish(s));
  await step("a narrow window shows one panel at a time", () => narrow(s));
  await step("the teacher looks at the student's terminals, types into one, and broadcasts", async () => {
    await looksAt(t);
    await assist(t, s);
    await broadcast(t, s);
  });
  await step("the class ends and its lab stands still; the teacher extends it", () => endsAndIsExtended(t, s, async () => {
    console.log("end");
    check((await answers.next()).value === "ended", "the class did not end");
  }));
  await step("node3 joins; roles; exercise 1 is done", async () => {
    await joins(s, line, "node3");
    await next(s);
    await run(s);
    await s.passed("node2 and node3 carry the role worker");
    await s.page.getByText("All steps are done").waitFor();
    await matrixShows(t, 5);
  });
  await step("exercise 7: dockercoins by a click", () => exerciseSeven(s));
  await step("its page opens through the port link", () => portLink(s));
  await step("ten workers, and the bottleneck", () => scalesAndFindsTheBottleneck(s));
  await picture(s, "classroom-dockercoins");
  await picture({ page: s.popup }, "classroom-webui");
  await step("the teacher's matrix has it", () => matrixShows(t, 5));
  await picture(t, "classroom-teacher");
  await step("no error on any page, nothing asked of elsewhere", () => { s.good(); t.good(); });
  await step("the same over TLS: the live state, a terminal, links", () => overTls(s, t));
} catch (e) {
  failed = 1;
  const page = browser.contexts()[0]?.pages()[0];
  console.log(`the page's words: ${(await page?.innerText("body").catch(() => ""))?.slice(0, 1500).replaceAll("\n", " | ")}`);
}
await browser.close();
process.exit(failed);
