import assert from "node:assert/strict";
import { test } from "node:test";

import { asLanguage, fill, tables, wordsIn } from "../src/i18n";

const holes = (text: string): string[] => [...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1] ?? "").sort();

test("every language has every message, with the same holes to fill", () => {
  const keys = Object.keys(tables.en).sort();
  assert.ok(keys.length > 150);
  for (const [language, table] of Object.entries(tables)) {
    assert.deepEqual(Object.keys(table).sort(), keys, language);
    for (const key of keys) {
      const [ours, theirs] = [table[key as keyof typeof table], tables.en[key as keyof typeof table]];
      assert.notEqual(ours.trim(), "", `${language} ${key}`);
      assert.deepEqual(holes(ours), holes(theirs), `${language} ${key}`);
    }
  }
});

test("the languages differ", () => {
  const same = Object.keys(tables.en).filter((k) => tables.en[k as keyof typeof tables.en] === tables.es[k as keyof typeof tables.es]);
  // Words that both write alike.
  assert.ok(same.length < 12, same.join(", "));
});

test("filling, counting, choosing", () => {
  assert.equal(fill("{a} and {b} and {c}", { a: 1, b: "<b>" }), "1 and <b> and {c}");
  assert.equal(wordsIn("en").counted("teacher.students", 1), "1 student");
  assert.equal(wordsIn("es").counted("teacher.students", 0), "0 estudiantes");
  assert.deepEqual([asLanguage("es-AR"), asLanguage("EN"), asLanguage("fr"), asLanguage(null)], ["es", "en", null, null]);
});
