// A student's terminals as this page shows them: which are open, where they stand, and typing commands into them.
// The student's own page has one; a teacher's page has one for the student it looks at.
import { api } from "../api/http";
import type { TerminalInfo } from "../api/types";
import type { Words } from "../i18n";
import { Store } from "../state";
import { activeTerminal, neighbour, oneEmpty, restore, settle, show, toggleSplit, activate, type Layout } from "./layout";
import { TerminalSession, type Sharing, type TerminalLook } from "./terminal";

export interface Desk {
  layout: Layout;
  terminals: TerminalInfo[]; // the server's, and those just opened of which it has not spoken yet
}

const keptAs = (student: string): string => `lab.layout.${student}`;

export class Workspace {
  readonly desk: Store<Desk>;
  private readonly sessions = new Map<string, TerminalSession>();
  private fromServer: TerminalInfo[] = [];
  private fresh: TerminalInfo[] = [];
  private gone = new Set<string>(); // closed here; the server may speak of them once more

  constructor(
    readonly student: string,
    private sharing: Sharing,
    private look: TerminalLook,
    private words: Words,
  ) {
    const layout = sharing === "own" ? restore(localStorage.getItem(keptAs(student))) : oneEmpty;
    this.desk = new Store<Desk>({ layout, terminals: [] });
  }

  // The server's list has come.
  update(terminals: TerminalInfo[]): void {
    this.fromServer = terminals;
    this.fresh = this.fresh.filter((own) => !terminals.some((t) => t.id === own.id));
    this.gone = new Set([...this.gone].filter((id) => terminals.some((t) => t.id === id)));
    this.refresh();
  }

  session(id: string): TerminalSession {
    let session = this.sessions.get(id);
    if (!session) {
      session = new TerminalSession(this.student, id, this.sharing, this.look, this.words, (how) => this.left(id, how));
      this.sessions.set(id, session);
    }
    return session;
  }

  active(): TerminalSession | null {
    const id = activeTerminal(this.desk.get().layout);
    return id === null ? null : this.session(id);
  }

  show(id: string): void {
    this.arrange(show(this.desk.get().layout, id));
  }

  activate(pane: number): void {
    this.arrange(activate(this.desk.get().layout, pane));
  }

  toggleSplit(): void {
    this.arrange(toggleSplit(this.desk.get().layout, this.ids()));
  }

  // A new shell in that node, shown in the active half.
  async open(node: string): Promise<TerminalSession> {
    const now = this.active()?.term;
    const { id } = await api.openTerminal(this.student, node, now?.cols ?? 100, now?.rows ?? 30);
    if (!this.fromServer.some((t) => t.id === id))
      this.fresh.push({ id, node, title: node, exited: null, cols: 0, rows: 0 });
    this.refresh();
    this.show(id);
    return this.session(id);
  }

  async close(id: string): Promise<void> {
    this.gone.add(id);
    this.refresh();
    try {
      await api.closeTerminal(this.student, id);
    } catch (e) {
      this.gone.delete(id);
      this.refresh();
      throw e;
    }
  }

  // Terminals whose shells ended with the lab in which they ran.
  closeEnded(): void {
    for (const t of this.fromServer) if (t.exited !== null) void this.close(t.id).catch(() => undefined);
  }

  // Types a command into a terminal of that node: the active one, else another, else a new one.
  async run(node: string, command: string): Promise<TerminalSession> {
    const { layout, terminals } = this.desk.get();
    const fit = terminals.filter((t) => t.node === node && t.exited === null && this.sessions.get(t.id)?.view.get().exited == null);
    const chosen =
      fit.find((t) => t.id === activeTerminal(layout)) ?? fit.find((t) => layout.panes.includes(t.id)) ?? fit[0];
    if (chosen) this.show(chosen.id);
    const session = chosen ? this.session(chosen.id) : await this.open(node);
    await session.ready();
    session.run(command);
    return session;
  }

  share(sharing: Sharing): void {
    this.sharing = sharing;
    this.sessions.forEach((session) => session.share(sharing));
  }

  restyle(look: TerminalLook, words: Words): void {
    this.look = look;
    this.words = words;
    this.sessions.forEach((session) => {
      session.look(look);
      session.speak(words);
    });
  }

  dispose(): void {
    this.sessions.forEach((session) => session.dispose());
    this.sessions.clear();
  }

  private ids(): string[] {
    return this.desk.get().terminals.map((t) => t.id);
  }

  private refresh(): void {
    const terminals = [...this.fromServer, ...this.fresh].filter((t) => !this.gone.has(t.id));
    this.desk.set({ terminals });
    for (const [id, session] of this.sessions) {
      if (terminals.some((t) => t.id === id)) continue;
      session.dispose();
      this.sessions.delete(id);
    }
    this.arrange(settle(this.desk.get().layout, this.ids()));
  }

  private arrange(layout: Layout): void {
    if (layout === this.desk.get().layout) return;
    this.desk.set({ layout });
    if (this.sharing === "own") localStorage.setItem(keptAs(this.student), JSON.stringify(layout));
  }

  private left(id: string, how: "up" | "next" | "previous"): void {
    if (how === "up") {
      document.getElementById(tabId(id))?.focus();
      return;
    }
    const other = neighbour(this.desk.get().layout, this.ids(), how === "next" ? 1 : -1);
    if (other === null) return;
    this.show(other);
    // Once the page has drawn it.
    requestAnimationFrame(() => this.session(other).focus());
  }
}

export const tabId = (terminal: string): string => `tab-${terminal}`;
export const panelId = (pane: number): string => `terminal-pane-${pane}`;
