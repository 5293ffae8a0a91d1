// The page's controller: what it knows, what the reader chose, and what it does when asked. The elements in student/,
// teacher/ and ui/ draw it and call it.
import { api, ApiError, socketUrl } from "./api/http";
import { changes, labWasReplaced, learn, nothingKnown, parseEvent, type Change, type Known } from "./api/events";
import { Socket, type Phase, type SocketOwner } from "./api/socket";
import type { CourseEntry, Me, StudentState } from "./api/types";
import { asLanguage, wordsIn, type Key, type Language, type Values, type Words } from "./i18n";
import { Store } from "./state";
import { Workspace } from "./workspace/workspace";
import type { Sharing, TerminalLook } from "./workspace/terminal";

export type Theme = "auto" | "light" | "dark";
export type Panel = "exercise" | "terminals" | "lab";

export interface Notice {
  id: number;
  kind: "words" | "good" | "bad"; // words: of the teacher, which stay until they are put away
  text: string;
}

export interface Question {
  title: string;
  text: string;
  yes: string;
  danger: boolean;
  act: () => void;
}

export interface View {
  me: Me | null;
  refused: "" | "session" | "unreachable";
  course: CourseEntry[];
  known: Known;
  phase: Phase;
  language: Language;
  theme: Theme;
  fontSize: number;
  reader: boolean;
  panel: Panel; // on narrow windows
  notices: Notice[];
  said: string; // for screen readers
  question: Question | null;
  looking: string | null; // the teacher's: at whom
  sharing: Sharing;
}

const kept = {
  get: (name: string): string | null => localStorage.getItem(`lab.${name}`),
  set: (name: string, value: string): void => localStorage.setItem(`lab.${name}`, value),
};

const asTheme = (text: string | null): Theme => (text === "light" || text === "dark" ? text : "auto");
const darkSystem = window.matchMedia("(prefers-color-scheme: dark)");
const NOTICE_MS = 8000;

export class App implements SocketOwner {
  readonly view: Store<View>;
  words: Words;
  workspace: Workspace | null = null;
  private socket: Socket | null = null;
  private lastNotice = 0;

  constructor() {
    const language = asLanguage(kept.get("language")) ?? asLanguage(navigator.language) ?? "en";
    this.words = wordsIn(language);
    this.view = new Store<View>({
      me: null,
      refused: "",
      course: [],
      known: nothingKnown,
      phase: { is: "connecting" },
      language,
      theme: asTheme(kept.get("theme")),
      fontSize: Number(kept.get("fontSize")) || 14,
      reader: kept.get("reader") === "yes",
      panel: "exercise",
      notices: [],
      said: "",
      question: null,
      looking: null,
      sharing: "watch",
    });
    darkSystem.addEventListener("change", () => this.dress());
    this.dress();
  }

  async begin(): Promise<void> {
    try {
      const [me, course] = await Promise.all([api.me(), api.course()]);
      this.view.set({ me, course, refused: "" });
      if (kept.get("language") === null) this.speak(asLanguage(me.language) ?? "en", false);
      if (me.role === "student") this.seat(me.student, "own");
      this.socket ??= new Socket(this);
    } catch (e) {
      const refused = e instanceof ApiError && (e.status === 401 || e.status === 403);
      this.view.set({ refused: refused ? "session" : "unreachable" });
      if (!refused) window.setTimeout(() => void this.begin(), 3000);
    }
  }

  // What the reader chooses.

  speak(language: Language, keep = true): void {
    if (keep) kept.set("language", language);
    this.words = wordsIn(language);
    this.view.set({ language });
    this.dress();
  }

  choose(change: Partial<Pick<View, "theme" | "fontSize" | "reader">>): void {
    for (const [name, value] of Object.entries(change)) kept.set(name, value === true ? "yes" : value === false ? "no" : String(value));
    this.view.set(change);
    this.dress();
  }

  showPanel(panel: Panel): void {
    this.view.set({ panel });
  }

  private look(): TerminalLook {
    const { theme, fontSize, reader } = this.view.get();
    return { isDark: theme === "dark" || (theme === "auto" && darkSystem.matches), fontSize, reader };
  }

  private dress(): void {
    const { language } = this.view.get();
    document.documentElement.lang = language;
    document.documentElement.dataset["theme"] = this.look().isDark ? "dark" : "light";
    this.workspace?.restyle(this.look(), this.words);
  }

  // Whose terminals.

  private seat(student: string, sharing: Sharing): void {
    this.workspace?.dispose();
    this.workspace = new Workspace(student, sharing, this.look(), this.words);
    const state = this.view.get().known.students[student];
    if (state) this.workspace.update(state.terminals);
  }

  lookAt(student: string | null): void {
    if (student === null) {
      this.workspace?.dispose();
      this.workspace = null;
    } else {
      this.seat(student, "watch");
    }
    this.view.set({ looking: student, sharing: "watch" });
    this.follow();
  }

  share(sharing: Sharing): void {
    this.workspace?.share(sharing);
    this.view.set({ sharing });
  }

  private follow(): void {
    if (this.view.get().me?.role === "teacher")
      this.socket?.send(JSON.stringify({ type: "follow", student: this.view.get().looking }));
  }

  retry(): void {
    this.socket?.now();
  }

  // Words to the reader.

  t(key: Key, values?: Values): string {
    return this.words.t(key, values);
  }

  notice(kind: Notice["kind"], text: string): void {
    const id = ++this.lastNotice;
    this.view.set({ notices: [...this.view.get().notices.slice(-4), { id, kind, text }] });
    if (kind !== "words") window.setTimeout(() => this.dismiss(id), NOTICE_MS);
  }

  dismiss(id: number): void {
    this.view.set({ notices: this.view.get().notices.filter((n) => n.id !== id) });
  }

  say(text: string): void {
    // The same words twice are said twice: a live region tells only what differs.
    this.view.set({ said: text === this.view.get().said ? `${text} ` : text });
  }

  ask(question: Question): void {
    this.view.set({ question });
  }

  answer(yes: boolean): void {
    const { question } = this.view.get();
    this.view.set({ question: null });
    if (yes) question?.act();
  }

  // Runs a request; what goes wrong is told, and false returned.
  async attempt(action: () => Promise<unknown>, wrong: Key = "error.generic"): Promise<boolean> {
    try {
      await action();
      return true;
    } catch (e) {
      this.notice("bad", this.t(wrong, { error: e instanceof Error ? e.message : String(e) }));
      return false;
    }
  }

  async run(node: string, command: string, byHand: boolean): Promise<void> {
    const workspace = this.workspace;
    if (!workspace) return;
    this.showPanel("terminals");
    await this.attempt(async () => {
      const session = await workspace.run(node, command);
      this.say(this.t("run.ran", { node }));
      if (byHand) session.focus();
    }, "terminal.failed");
  }

  async openTerminal(node: string): Promise<void> {
    const workspace = this.workspace;
    if (!workspace) return;
    this.showPanel("terminals");
    await this.attempt(async () => {
      const session = await workspace.open(node);
      requestAnimationFrame(() => session.focus());
    }, "terminal.failed");
  }

  async upload(student: string, node: string, files: Iterable<File>): Promise<void> {
    for (const file of files) {
      try {
        await api.upload(student, node, file);
        this.notice("good", this.t("nodes.uploaded", { file: file.name, node }));
      } catch (e) {
        const error = e instanceof Error ? e.message : String(e);
        this.notice("bad", this.t("nodes.upload.failed", { file: file.name, error }));
      }
    }
  }

  // What the events' socket asks and tells.

  url(): string {
    return socketUrl("/api/events");
  }

  mayReturn(): boolean {
    return this.view.get().refused !== "session";
  }

  phase(phase: Phase): void {
    this.view.set({ phase });
    // A refused WebSocket does not say why; a request does: the class may have been deleted.
    if (phase.is === "waiting")
      api.me().then(
        (me) => this.view.set({ me }),
        (e: unknown) => {
          if (e instanceof ApiError && e.status === 401) this.view.set({ refused: "session" });
        },
      );
  }

  opened(): void {
    this.view.set({ known: { ...this.view.get().known, firstAfterConnect: true } });
    this.follow();
  }

  message(data: string | ArrayBuffer): void {
    const event = typeof data === "string" ? parseEvent(data) : null;
    if (!event) return;
    if (event.type === "notice") {
      this.notice("words", event.text);
      return;
    }
    const before = this.view.get().known;
    const known = learn(before, event);
    if (known === before) return;
    this.view.set({ known });
    if (event.type !== "state") return;
    if (this.workspace?.student === event.state.student) this.workspace.update(event.state.terminals);
    if (this.view.get().me?.role === "student") this.tell(before.students[event.state.student], event.state);
    if (this.view.get().me?.role === "student" && labWasReplaced(before.students[event.state.student], event.state)) this.workspace?.closeEnded();
  }

  private tell(before: StudentState | undefined, after: StudentState): void {
    const said = changes(before, after).map((change) => this.inWords(change));
    if (said.length > 0) this.say(said.join(". "));
  }

  private inWords(change: Change): string {
    switch (change.what) {
      case "passed":
        return this.t("said.passed", { say: change.say });
      case "step":
        return this.t("said.step", { n: change.number, of: change.of });
      case "exercise":
        return this.t("said.exercise");
      case "begun":
        return this.t("said.begun", { title: change.title });
      case "failed":
        return this.t("job.failed", { error: change.error });
      case "running":
        return this.t("said.running");
      case "paused":
        return this.t("said.paused");
      case "resumed":
        return this.t("said.resumed");
      case "over":
        return this.t("over.title");
      case "extended":
        return this.t("said.extended");
    }
  }
}
