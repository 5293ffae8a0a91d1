import assert from "node:assert/strict";
import { test } from "node:test";

import { bytes, clock, cpu, duration, secondsUntil } from "../src/text/format";
import type { ClassRow } from "../src/api/types";
import { arrange, isStuck, totals } from "../src/teacher/rows";

test("numbers as people read them", () => {
  assert.deepEqual([bytes(0, "en"), bytes(1023, "en"), bytes(1536, "en"), bytes(734003200, "en"), bytes(1610612736, "es")], ["0 B", "1,023 B", "1.5 KiB", "700 MiB", "1,5 GiB"]);
  assert.deepEqual([cpu(0, "en"), cpu(55, "en"), cpu(1500, "en")], ["0 %", "5.5 %", "150 %"]);
  assert.deepEqual([clock(-3), clock(65), clock(3909)], ["0:00", "1:05", "1:05:09"]);
  assert.deepEqual([duration(40), duration(125), duration(3900)], ["40 s", "2 min", "1 h 05 min"]);
  assert.equal(secondsUntil("2026-01-01T00:01:00Z", Date.parse("2026-01-01T00:00:00Z")), 60);
  assert.equal(secondsUntil("", 0), null);
});

const row = (student: string, change: Partial<ClassRow> = {}): ClassRow => ({
  student, title: "", lab: "running", exercise: "01", step: 0, steps: 4, passed: 0, checks: 5, matrix: [], stuck: 0, seen: "", online: true, message: "", ...change,
});

test("the matrix's order and its sums", () => {
  const rows = [row("s10", { passed: 5, stuck: null }), row("s2", { passed: 1, stuck: 700, title: "Ada" }), row("s1", { stuck: 800, online: false }), row("s3", { passed: 2, stuck: 30 })];
  const order = (by: "name" | "progress" | "stuck", search = ""): string[] => arrange(rows, search, by, "en").map((r) => r.student);
  assert.deepEqual(order("name"), ["s2", "s1", "s3", "s10"]);
  assert.deepEqual(order("progress"), ["s1", "s2", "s3", "s10"]);
  assert.deepEqual(order("stuck"), ["s1", "s2", "s3", "s10"]);
  assert.deepEqual(order("name", "ADA"), ["s2"]);
  assert.deepEqual(totals(rows), { online: 3, stuck: 1, done: 1 });
  assert.equal(isStuck(row("s", { checks: 0, stuck: 9999 })), false);
});
