import assert from "node:assert/strict";
import { test } from "node:test";

import { Acks, emptyStream, hearBytes, hearText, type StreamState } from "../src/api/stream";
import { backOff } from "../src/api/socket";

const start = (offset: number, end: number) => JSON.stringify({ type: "start", offset, end, cols: 80, rows: 24 });

test("a first start sets the place and the size, and nothing counts as lost", () => {
  const { state, effects } = hearText(emptyStream, start(500, 900));
  assert.deepEqual([state.next, state.pastEnd, state.cols, state.rows, state.started], [500, 900, 80, 24, true]);
  assert.deepEqual(effects, [{ do: "size", cols: 80, rows: 24 }]);
});

test("bytes move the place by which a lost connection goes on", () => {
  let state: StreamState = hearText(emptyStream, start(0, 0)).state;
  state = hearBytes(hearBytes(state, 10), 5);
  assert.equal(state.next, 15);
  const again = hearText(state, start(15, 40));
  assert.deepEqual(again.effects, [{ do: "size", cols: 80, rows: 24 }]);
  assert.equal(again.state.pastEnd, 40);
});

test("what is no longer kept is a gap of so many bytes", () => {
  const state = hearBytes(hearText(emptyStream, start(0, 0)).state, 100);
  assert.deepEqual(hearText(state, start(350, 400)).effects[0], { do: "gap", bytes: 250 });
});

test("a terminal that counts from the beginning again is drawn anew", () => {
  const state = hearBytes(hearText(emptyStream, start(0, 0)).state, 100);
  assert.deepEqual(hearText(state, start(0, 20)).effects[0], { do: "clear" });
});

test("exit and size", () => {
  const ended = hearText(emptyStream, '{"type":"exit","code":7}');
  assert.equal(ended.state.exited, 7);
  assert.deepEqual(ended.effects, [{ do: "exit", code: 7 }]);
  assert.deepEqual(hearText(emptyStream, '{"type":"size","cols":120,"rows":40}').effects, [{ do: "size", cols: 120, rows: 40 }]);
});

test("frames that are not understood change nothing", () => {
  for (const text of ["", "{", "null", "[]", "3", '{"type":"start"}', '{"type":"start","offset":-1,"end":2}',
    '{"type":"start","offset":1.5,"end":2}', '{"type":"exit"}', '{"type":"size","cols":"80","rows":24}', '{"type":"new"}']) {
    const heard = hearText(emptyStream, text);
    assert.equal(heard.state, emptyStream, text);
    assert.deepEqual(heard.effects, []);
  }
});

test("acknowledgements: every 32 KiB, and when nothing waits to be drawn", () => {
  const told: number[] = [];
  const acks = new Acks((offset) => told.push(offset));
  acks.begin(1000);
  acks.drawn(1500, false);
  assert.deepEqual(told, []);
  acks.drawn(1600, true);
  acks.drawn(1600, true);
  acks.drawn(1600 + 32 * 1024, false);
  assert.deepEqual(told, [1600, 1600 + 32 * 1024]);
});

test("waits grow, are spread, and end", () => {
  assert.deepEqual([backOff(0, () => 1), backOff(1, () => 1), backOff(3, () => 1), backOff(60, () => 1)], [300, 600, 2400, 15_000]);
  assert.equal(backOff(1, () => 0), 300);
});
