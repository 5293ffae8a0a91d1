// Exercise texts: Markdown to elements of the page, token by token. No HTML is read from the text and none is written as
// text, so that nothing in it can become more than words. ```run NODE blocks become what the caller makes of them.
import MarkdownIt from "markdown-it";
import { h, type ComponentChild } from "preact";

type Token = ReturnType<MarkdownIt["parse"]>[number];

export interface RunBlock {
  node: string;
  command: string;
}

const FIRST_NODE = "node1"; // a block that names no node is for the first
const reader = new MarkdownIt({ html: false, linkify: false, typographer: false });

function runBlock(token: Token): RunBlock | null {
  if (token.type !== "fence") return null;
  const [kind, node] = token.info.trim().split(/\s+/);
  return kind === "run" ? { node: node ?? FIRST_NODE, command: token.content.replace(/\n+$/, "") } : null;
}

export function runBlocks(text: string): RunBlock[] {
  return reader.parse(text, {}).flatMap((token) => runBlock(token) ?? []);
}

// "A control plane", of a text that begins with "# A control plane".
export function titleOf(text: string): string {
  const tokens = reader.parse(text, {});
  const at = tokens.findIndex((t) => t.type === "heading_open");
  return at < 0 ? "" : plain(tokens[at + 1]?.children ?? []);
}

function plain(tokens: Token[]): string {
  return tokens.map((t) => (t.type === "softbreak" ? " " : t.content)).join("");
}

const TAGS = new Set([
  "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "em", "strong", "s", "a", "hr",
  "table", "thead", "tbody", "tr", "th", "td",
]);

interface Open {
  tag: string;
  props: Record<string, string>;
  children: ComponentChild[];
  hidden: boolean;
}

function opened(token: Token): Open {
  const props: Record<string, string> = {};
  // The page's own title is above: a text's first level is the page's second.
  const heading = /^h([1-5])$/.exec(token.tag);
  const tag = heading ? `h${Number(heading[1]) + 1}` : token.tag;
  if (!TAGS.has(tag)) return { tag: "span", props, children: [], hidden: true };
  if (tag === "a") {
    props["href"] = token.attrGet("href") ?? "";
    props["target"] = "_blank";
    props["rel"] = "noopener";
  }
  if (tag === "ol" && token.attrGet("start")) props["start"] = token.attrGet("start") ?? "";
  return { tag, props, children: [], hidden: token.hidden };
}

function leaf(token: Token, draw: (block: RunBlock, key: number) => ComponentChild, key: number): ComponentChild {
  const block = runBlock(token);
  if (block) return draw(block, key);
  switch (token.type) {
    case "fence":
    case "code_block":
      return <pre tabIndex={0}><code>{token.content}</code></pre>;
    case "code_inline":
      return <code>{token.content}</code>;
    case "softbreak":
      return "\n";
    case "hardbreak":
      return <br />;
    case "hr":
      return <hr />;
    case "inline":
      return <>{elements(token.children ?? [], draw)}</>;
    default:
      return token.content; // text; a picture's words
  }
}

function elements(tokens: Token[], draw: (block: RunBlock, key: number) => ComponentChild): ComponentChild[] {
  const root: Open = { tag: "", props: {}, children: [], hidden: true };
  const stack: Open[] = [root];
  tokens.forEach((token, key) => {
    const top = stack[stack.length - 1] ?? root;
    if (token.nesting === 1) {
      stack.push(opened(token));
    } else if (token.nesting === -1) {
      const done = stack.pop() ?? root;
      const below = stack[stack.length - 1] ?? root;
      if (done.hidden) below.children.push(...done.children);
      else below.children.push(h(done.tag, done.props, ...done.children));
    } else {
      top.children.push(leaf(token, draw, key));
    }
  });
  return root.children;
}

export function Markdown({ text, run }: { text: string; run: (block: RunBlock, key: number) => ComponentChild }) {
  return <div class="prose">{elements(reader.parse(text, {}), run)}</div>;
}

export function InlineMarkdown({ text }: { text: string }) {
  return <>{elements(reader.parseInline(text, {}), () => null)}</>;
}
