import assert from "node:assert/strict";
import { test } from "node:test";

import { changes, labWasReplaced, learn, nothingKnown, parseEvent } from "../src/api/events";
import type { StudentState } from "../src/api/types";

function state(change: Partial<StudentState> = {}, passed: boolean[] = [false, false]): StudentState {
  const checks = passed.map((p, i) => ({ say: `check ${i}`, passed: p, seen: "" }));
  return {
    student: "s1", title: "", version: 1, lab: "running", job: null, nodes: [], nodeLimit: 5, ports: [], terminals: [],
    exercise: {
      name: "01", title: "One", language: "en", minutes: 5, current: 0, done: passed.every(Boolean), error: "",
      steps: [{ name: "a", text: "# A", done: passed.every(Boolean), checks }],
    },
    seen: "", ends: "", paused: false, over: false, ...change,
  };
}

test("frames that are none are left alone", () => {
  for (const text of ["", "{", "null", '{"type":"state"}', '{"type":"state","state":null}', '{"type":"class","class":3}', '{"type":"notice"}', '{"type":"x"}'])
    assert.equal(parseEvent(text), null, text);
  assert.deepEqual(parseEvent('{"type":"notice","text":"hi"}'), { type: "notice", text: "hi" });
});

test("an older state does not replace a newer one, but after the server came back", () => {
  const newer = learn(nothingKnown, { type: "state", state: state({ version: 9 }) });
  assert.equal(learn(newer, { type: "state", state: state({ version: 8 }) }), newer);
  assert.equal(learn(newer, { type: "state", state: state({ version: 10 }) }).students["s1"]?.version, 10);
  const restarted = learn({ ...newer, firstAfterConnect: true }, { type: "state", state: state({ version: 1 }) });
  assert.equal(restarted.students["s1"]?.version, 1);
});

test("students are kept apart", () => {
  const both = learn(learn(nothingKnown, { type: "state", state: state({ version: 9 }) }), { type: "state", state: state({ student: "s2", version: 2 }) });
  assert.deepEqual(Object.keys(both.students), ["s1", "s2"]);
});

test("what is told: checks that passed, steps and exercises done", () => {
  assert.deepEqual(changes(undefined, state()), []);
  assert.deepEqual(changes(state(), state()), []);
  assert.deepEqual(changes(state(), state({}, [true, false])), [{ what: "passed", say: "check 0" }]);
  assert.deepEqual(changes(state({}, [true, false]), state({}, [true, true])), [
    { what: "passed", say: "check 1" }, { what: "step", number: 1, of: 1 }, { what: "exercise" },
  ]);
  assert.deepEqual(changes(state({}, [true, true]), state()), [], "a reset is no news");
});

test("what is told: another exercise, jobs that fail, pauses, a lab that runs", () => {
  assert.deepEqual(changes(state({ exercise: null }), state()), [{ what: "begun", title: "One" }]);
  const job = { what: "reset", line: "", before: 0, started: "", error: "" };
  assert.deepEqual(changes(state({ job }), state({ job: { ...job, error: "no space" } })), [{ what: "failed", error: "no space" }]);
  assert.deepEqual(changes(state(), state({ paused: true })), [{ what: "paused" }]);
  assert.deepEqual(changes(state({ paused: true }), state()), [{ what: "resumed" }]);
  assert.deepEqual(changes(state(), state({ over: true })), [{ what: "over" }]);
  assert.deepEqual(changes(state({ over: true }), state()), [{ what: "extended" }]);
  assert.deepEqual(changes(state({ lab: "making" }), state()), [{ what: "running" }]);
});

test("a lab is another one once an exercise was begun or reset", () => {
  const job = (what: string, error = "") => ({ what, line: "", before: 0, started: "", error });
  assert.equal(labWasReplaced(state({ job: job("reset") }), state()), true);
  assert.equal(labWasReplaced(state({ job: job("exercise") }), state()), true);
  assert.equal(labWasReplaced(state({ job: job("node") }), state()), false);
  assert.equal(labWasReplaced(state({ job: job("reset") }), state({ job: job("reset", "no space") })), false);
  assert.equal(labWasReplaced(undefined, state()), false);
});
