import assert from "node:assert/strict";
import { test } from "node:test";

import { activeTerminal, neighbour, oneEmpty, restore, settle, show, toggleSplit } from "../src/workspace/layout";

test("the first terminal fills the empty half", () => {
  assert.equal(settle(oneEmpty, []), oneEmpty);
  assert.deepEqual(settle(oneEmpty, ["a", "b"]).panes, ["a"]);
});

test("a terminal is shown in the active half, or gone to where it is", () => {
  const split = toggleSplit({ panes: ["a"], active: 0 }, ["a", "b", "c"]);
  assert.deepEqual(split, { panes: ["a", "b"], active: 0 });
  assert.deepEqual(show(split, "b"), { panes: ["a", "b"], active: 1 });
  assert.deepEqual(show(split, "c"), { panes: ["c", "b"], active: 0 });
});

test("split with a sole terminal leaves the other half free for the next", () => {
  const split = toggleSplit({ panes: ["a"], active: 0 }, ["a"]);
  assert.deepEqual(split, { panes: ["a", null], active: 1 });
  assert.deepEqual(show(split, "b").panes, ["a", "b"]);
  assert.deepEqual(toggleSplit(show(split, "b"), ["a", "b"]), { panes: ["b"], active: 0 });
});

test("terminals that are gone leave their half", () => {
  assert.deepEqual(settle({ panes: ["a", "b"], active: 1 }, ["a"]).panes, ["a", null]);
  assert.deepEqual(settle({ panes: ["a"], active: 0 }, ["b"]).panes, ["b"]);
  const same = { panes: ["a", null], active: 1 };
  assert.equal(settle(same, ["a", "c"]), same);
});

test("neighbours go round", () => {
  const layout = { panes: ["c"], active: 0 };
  assert.equal(activeTerminal(layout), "c");
  assert.equal(neighbour(layout, ["a", "b", "c"], 1), "a");
  assert.equal(neighbour(layout, ["a", "b", "c"], -1), "b");
  assert.equal(neighbour(oneEmpty, [], 1), null);
});

test("what was kept is read back, whatever it is", () => {
  assert.deepEqual(restore('{"panes":["a",null],"active":1}'), { panes: ["a", null], active: 1 });
  for (const text of [null, "", "{", "null", "[]", '{"panes":[]}', '{"panes":[1]}', '{"panes":["a","b","c"]}']) assert.deepEqual(restore(text), oneEmpty);
  assert.equal(restore('{"panes":["a"],"active":5}').active, 0);
});
