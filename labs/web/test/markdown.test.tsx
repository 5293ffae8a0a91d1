import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { isValidElement, type ComponentChild, type VNode } from "preact";

import { Markdown, runBlocks, titleOf, type RunBlock } from "../src/text/markdown";

// All elements and texts that a text becomes.
function everything(text: string): { tags: string[]; words: string; links: string[]; blocks: RunBlock[] } {
  const found = { tags: [] as string[], words: "", links: [] as string[], blocks: [] as RunBlock[] };
  const visit = (node: ComponentChild): void => {
    if (Array.isArray(node)) return node.forEach(visit);
    if (typeof node === "string") found.words += node;
    if (!isValidElement(node)) return;
    const element = node as VNode<Record<string, unknown>>;
    if (typeof element.type === "string") found.tags.push(element.type);
    assert.equal("dangerouslySetInnerHTML" in element.props, false);
    if (typeof element.props["href"] === "string") found.links.push(element.props["href"]);
    visit(element.props["children"] as ComponentChild);
  };
  visit(Markdown({ text, run: (block) => { found.blocks.push(block); return null; } }));
  return found;
}

test("run blocks: their node, the first one when none is named, and the command as it stands", () => {
  const text = "# T\n\n```run node2\nls -l\n```\n\n```run\na <b> &\nb\n```\n\n```\nnot this\n```\n\n```runner\nnor this\n```\n";
  const blocks = [{ node: "node2", command: "ls -l" }, { node: "node1", command: "a <b> &\nb" }];
  assert.deepEqual(runBlocks(text), blocks);
  assert.deepEqual(everything(text).blocks, blocks);
  assert.equal(titleOf(text), "T");
});

test("HTML in a text stays words", () => {
  const { tags, words } = everything("a <script>alert(1)</script> <img src=x onerror=y>\n\n<div onclick='z'>\n\n<b>c</b>");
  assert.deepEqual([...new Set(tags)].sort(), ["div", "p"]);
  assert.match(words, /<script>alert\(1\)<\/script>/);
  assert.equal(tags.filter((t) => t === "div").length, 1, "the frame alone");
});

test("links that would run are none, and pictures are their words", () => {
  const { links, tags, words } = everything("[a](javascript:alert(1)) [b](data:text/html,x) [c](https://example.org/) ![d](http://x/y.png)");
  assert.deepEqual(links, ["https://example.org/"]);
  assert.equal(tags.includes("img"), false);
  assert.match(words, /d$/);
});

test("structure: headings go one down, lists, tables, emphasis", () => {
  const { tags } = everything("# A\n\n- x\n- *y* **z** `c`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n> q\n\n---\n");
  for (const tag of ["h2", "ul", "li", "em", "strong", "code", "table", "th", "td", "blockquote", "hr"]) assert.ok(tags.includes(tag), tag);
  assert.equal(tags.includes("h1"), false);
});

// The course that the page is made for; its place comes from the build.
const course = process.env["LAB_COURSE"];
test("every text of the course has a title, and its commands in both languages", { skip: course ? false : "LAB_COURSE is not set" }, () => {
  let texts = 0;
  for (const exercise of readdirSync(course!)) {
    const folder = join(course!, exercise);
    for (const name of readdirSync(join(folder, "en"))) {
      const [en, es] = ["en", "es"].map((l) => readFileSync(join(folder, l, name), "utf8"));
      ++texts;
      assert.notEqual(titleOf(en!), "", `${exercise} ${name}`);
      assert.notEqual(titleOf(es!), "", `${exercise} ${name}`);
      assert.deepEqual(runBlocks(es!), runBlocks(en!), `${exercise} ${name}`);
    }
  }
  assert.ok(texts > 30);
});
