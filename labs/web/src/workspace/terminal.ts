// One terminal of a student as this page shows it: xterm.js, joined to its stream.
// Lives from the first time it is shown until the terminal is gone; its host element moves between halves of the page.
import { FitAddon } from "@xterm/addon-fit";
import { Terminal, type ITerminalOptions } from "@xterm/xterm";

import { socketUrl, terminalPath } from "../api/http";
import { Socket, type Phase, type SocketOwner } from "../api/socket";
import { Acks, emptyStream, hearBytes, hearText, type StreamEffect } from "../api/stream";
import { bytes } from "../text/format";
import type { Words } from "../i18n";
import { Store } from "../state";
import { terminalTheme } from "./theme";

export type Sharing = "own" | "watch" | "assist"; // whose window sets the size, and whether one may type

export interface TerminalLook {
  isDark: boolean;
  fontSize: number;
  reader: boolean;
}

export interface TerminalView {
  phase: Phase;
  exited: number | null;
  past: boolean; // what was printed before we came is being drawn
}

const MOST_WAITING = 4096; // characters typed while the connection is away; more is not kept
const FONT = 'ui-monospace, "SF Mono", SFMono-Regular, Menlo, "Cascadia Mono", "DejaVu Sans Mono", "Liberation Mono", Consolas, monospace';

export class TerminalSession implements SocketOwner {
  readonly host = document.createElement("div");
  readonly term: Terminal;
  readonly view = new Store<TerminalView>({ phase: { is: "connecting" }, exited: null, past: true });
  private readonly fitter = new FitAddon();
  private readonly socket: Socket;
  private readonly acks = new Acks((offset) => this.socket.send(JSON.stringify({ type: "ack", offset })));
  private readonly encoder = new TextEncoder();
  private stream = emptyStream;
  private drawn = 0; // offset up to which xterm has worked
  private writes = 0; // that xterm has not finished
  private typed = ""; // waits for the connection
  private firstOutput = 0; // when it came; milliseconds
  private opened_ = false;

  constructor(
    private readonly student: string,
    readonly id: string,
    private sharing: Sharing,
    look: TerminalLook,
    private words: Words,
    onLeave: (how: "up" | "next" | "previous") => void,
  ) {
    this.host.className = "terminal-host";
    const options: ITerminalOptions = {
      fontFamily: FONT,
      fontSize: look.fontSize,
      lineHeight: 1.2,
      scrollback: 10_000,
      minimumContrastRatio: 4.5,
      screenReaderMode: look.reader,
      disableStdin: sharing === "watch",
    };
    this.term = new Terminal(options);
    this.look(look);
    this.term.loadAddon(this.fitter);
    this.term.onData((data) => this.type(data));
    this.term.onBinary((data) => this.send(Uint8Array.from(data, (c) => c.charCodeAt(0) & 255)));
    this.term.attachCustomKeyEventHandler((event) => this.key(event, onLeave));
    this.socket = new Socket(this);
  }

  // Into that element; focus is the caller's.
  showIn(parent: HTMLElement): void {
    parent.append(this.host);
    if (!this.opened_) {
      this.opened_ = true;
      this.term.open(this.host);
    }
    this.fit();
  }

  // After the place or the font has changed. Only the student's own window decides how large a terminal is. The past is
  // drawn at the size at which it was printed, and flows into the window's size afterwards.
  fit(): void {
    if (!this.opened_ || this.host.clientWidth === 0 || this.view.get().past) return;
    if (this.sharing !== "own") return this.adopt();
    const size = this.fitter.proposeDimensions();
    if (!size || Number.isNaN(size.cols) || size.cols < 2 || size.rows < 2) return;
    if (size.cols === this.term.cols && size.rows === this.term.rows && this.stream.cols === size.cols && this.stream.rows === size.rows) return;
    this.term.resize(size.cols, size.rows);
    this.tellSize();
  }

  look(look: TerminalLook): void {
    this.term.options.theme = terminalTheme(look.isDark);
    this.term.options.fontSize = look.fontSize;
    this.term.options.screenReaderMode = look.reader;
    this.fit();
  }

  speak(words: Words): void {
    this.words = words;
  }

  share(sharing: Sharing): void {
    this.sharing = sharing;
    this.term.options.disableStdin = sharing === "watch";
    this.fit();
  }

  focus(): void {
    this.term.focus();
  }

  // What a person would type: several lines as one paste where the shell takes pastes, so that no program that reads its
  // input swallows the lines after its own.
  run(command: string): void {
    const lines = command.replace(/\r?\n/g, "\n");
    const text = this.term.modes.bracketedPasteMode && lines.includes("\n") ? `\x1b[200~${lines}\x1b[201~` : lines.replace(/\n/g, "\r");
    this.type(`${text}\r`);
  }

  // Resolves when the shell waits for input, as far as one can see: it takes pastes, or has printed and gone quiet.
  async ready(): Promise<void> {
    const begun = Date.now();
    const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 50));
    for (; Date.now() - begun < 10_000; await pause()) {
      if (!this.socket.isOpen || this.view.get().past) continue;
      if (this.term.modes.bracketedPasteMode) return;
      if (this.firstOutput > 0 && Date.now() - this.firstOutput > 1500) return;
    }
  }

  type(data: string): void {
    if (this.view.get().past || this.view.get().exited !== null) return;
    if (this.socket.isOpen) this.send(this.encoder.encode(data));
    else if (this.typed.length + data.length <= MOST_WAITING) this.typed += data;
  }

  paste(text: string): void {
    this.term.paste(text);
  }

  dispose(): void {
    this.socket.close();
    this.term.dispose();
    this.host.remove();
  }

  // What the socket asks and tells.

  url(): string {
    return socketUrl(terminalPath(this.student, this.id, this.stream.next));
  }

  mayReturn(): boolean {
    return this.stream.exited === null;
  }

  phase(phase: Phase): void {
    this.view.set({ phase });
  }

  opened(): void {
    // The server speaks first.
  }

  message(data: string | ArrayBuffer): void {
    if (typeof data === "string") {
      const heard = hearText(this.stream, data);
      const isStart = heard.state !== this.stream && data.includes('"start"');
      this.stream = heard.state;
      heard.effects.forEach((effect) => this.apply(effect));
      if (isStart) this.begin();
      return;
    }
    const chunk = new Uint8Array(data);
    this.stream = hearBytes(this.stream, chunk.length);
    const upTo = this.stream.next;
    this.firstOutput ||= Date.now();
    ++this.writes;
    this.term.write(chunk, () => {
      --this.writes;
      this.drawn = upTo;
      this.acks.drawn(upTo, this.writes === 0);
      this.leavePast();
    });
  }

  private begin(): void {
    this.drawn = this.stream.next;
    this.acks.begin(this.stream.next);
    this.view.set({ past: true });
    this.leavePast();
  }

  // Until all that happened before has been drawn, what xterm answers to programs' questions must not be sent: those
  // programs had their answers, or are gone.
  private leavePast(): void {
    if (!this.stream.started || this.drawn < this.stream.pastEnd || !this.view.get().past) return;
    this.view.set({ past: false });
    this.fit();
    const waited = this.typed;
    this.typed = "";
    if (waited) this.type(waited);
  }

  private apply(effect: StreamEffect): void {
    switch (effect.do) {
      case "clear":
        this.term.reset();
        break;
      case "gap":
        this.note(this.words.t("terminal.gap", { bytes: bytes(effect.bytes, this.words.language) }));
        break;
      case "size":
        this.adopt();
        break;
      case "exit":
        this.view.set({ exited: effect.code });
        this.term.options.disableStdin = true;
        break;
    }
  }

  // A line of ours among the program's output; no sequence that was cut off may colour it or swallow it.
  private note(text: string): void {
    this.term.write(`\x18\x1b[0m\r\n\x1b[2m${text}\x1b[0m\r\n`);
  }

  private adopt(): void {
    const { cols, rows } = this.stream;
    if (cols > 1 && rows > 1 && (cols !== this.term.cols || rows !== this.term.rows)) this.term.resize(cols, rows);
  }

  private tellSize(): void {
    if (!this.opened_) return;
    const { cols, rows } = this.term;
    if (this.socket.send(JSON.stringify({ type: "resize", cols, rows }))) this.stream = { ...this.stream, cols, rows };
  }

  private send(data: Uint8Array): void {
    if (this.sharing !== "watch") this.socket.send(data);
  }

  // false: not for xterm. What the browser itself does with the key then happens.
  private key(event: KeyboardEvent, onLeave: (how: "up" | "next" | "previous") => void): boolean {
    const { key, ctrlKey, shiftKey, altKey, metaKey } = event;
    if (altKey || metaKey) return true;
    const own = ctrlKey && shiftKey ? { ArrowUp: "up", ArrowRight: "next", ArrowLeft: "previous" }[key] : undefined;
    const letter = key.toLowerCase();
    const copies = ctrlKey && letter === "c" && (shiftKey || this.term.hasSelection());
    if (own || copies) {
      event.preventDefault();
      if (event.type !== "keydown") return false;
      if (own) onLeave(own as "up" | "next" | "previous");
      else if (copies) void this.copy();
      return false;
    }
    return !((ctrlKey && letter === "v") || (shiftKey && key === "Insert")); // the browser's paste reaches xterm
  }

  // False when nothing is selected.
  async copy(): Promise<boolean> {
    const text = this.term.getSelection();
    if (text === "") return false;
    await copyText(text);
    this.term.clearSelection();
    return true;
  }
}

export async function copyText(text: string): Promise<void> {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  // Without TLS on another host than this one, browsers keep the clipboard from pages but for this old way.
  const focused = document.activeElement;
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "off-screen";
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
  if (focused instanceof HTMLElement) focused.focus();
}
