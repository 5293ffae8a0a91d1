// What the teacher does beside it.
import { check, faintWords, nameless } from "./pages.mjs";
import { picture } from "./pictures.mjs";

// The student's row has so many green cells.
export async function matrixShows(t, passed) {
  const row = t.page.locator("table.matrix tbody tr").first();
  await row.locator(".cell.passed").nth(passed - 1).waitFor();
  await row.locator(".presence.online").waitFor();
}

export async function looksAt(t) {
  const faint = await faintWords(t.page);
  check(faint.length === 0, `too faint: ${faint.join(", ")}`);
  const without = await nameless(t.page);
  check(without.length === 0, `without a name: ${without.join("; ")}`);
  await t.page.getByRole("button", { name: /^Look at/ }).first().click();
  await t.page.getByRole("tab", { name: "node1" }).click();
  await t.sees(/[#$]/);
}

// Watching types nothing; assisting does, and the student sees it.
export async function assist(t, s) {
  await s.page.getByRole("tab", { name: "node1" }).click();
  const input = t.page.locator(".xterm-helper-textarea").first();
  await input.focus();
  await t.type("echo only-$((20+1))-watching");
  await t.page.getByRole("radio", { name: "Assist" }).check();
  await input.focus();
  await t.type("echo from-the-teacher-$((40+2))");
  await s.sees("from-the-teacher-42");
  await t.sees("from-the-teacher-42");
  check(!(await s.screen()).includes("only-21"), "a teacher who watches typed into the terminal");
  await picture(t, "classroom-assist");
  await t.page.getByRole("button", { name: "All students" }).click();
}

// The class's end comes; the teacher gives more time.
export async function endsAndIsExtended(t, s, end) {
  await end();
  for (const person of [s, t]) await person.page.getByText("The class has ended").first().waitFor();
  await s.page.locator(".lab .chip.paused").waitFor();
  await t.page.getByRole("button", { name: "Extend" }).click();
  await t.page.getByRole("menuitem", { name: "10 minutes longer" }).click();
  for (const person of [s, t]) await person.page.locator(".paused[role=status]").waitFor({ state: "detached" });
  await s.page.locator(".lab .chip.running").waitFor();
}

export async function broadcast(t, s) {
  const offered = await t.page.getByLabel("Node", { exact: true }).locator("option").allTextContents();
  check(offered.join() === "node1,node2,node3", `nodes to choose from: ${offered.join()}`);
  await t.page.getByLabel("Command", { exact: true }).fill("echo to-all-$((6*7))");
  await t.page.getByRole("button", { name: "Type it for 1 student" }).click();
  await t.page.getByText("Typed for 1 student").waitFor();
  await s.sees("to-all-42");
}
