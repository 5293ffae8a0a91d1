// The terminals: a tab for each, and one or two of them in sight.
import { useEffect, useRef } from "preact/hooks";

import type { StudentState, TerminalInfo } from "../api/types";
import { useStore } from "../state";
import { Button, Menu } from "../ui/controls";
import { useApp, useView } from "../ui/context";
import { CopyIcon, CrossIcon, OneIcon, PasteIcon, PlusIcon, SplitIcon, TerminalIcon } from "../ui/icons";
import { activeTerminal } from "../workspace/layout";
import { panelId, tabId, type Workspace } from "../workspace/workspace";

interface Props {
  workspace: Workspace;
  state: StudentState;
  mayChange: boolean; // open and close terminals: the student's own page
}

export function Terminals({ workspace, state, mayChange }: Props) {
  const app = useApp();
  const { layout, terminals } = useStore(workspace.desk);
  const nodes = state.lab === "running" ? state.nodes.filter((n) => n.running) : [];
  const split = layout.panes.length > 1;
  if (terminals.length === 0) return <NoTerminal state={state} nodes={nodes.map((n) => n.name)} mayChange={mayChange} />;
  return (
    <>
      <div class="terminal-bar">
        <Tabs workspace={workspace} mayChange={mayChange} />
        {mayChange && nodes.length > 0 && (
          <Menu label={app.t("terminal.new")} picture={<PlusIcon />}
            items={nodes.map((n) => ({ name: n.name, act: () => void app.openTerminal(n.name) }))} />
        )}
        <span class="spring" />
        <CopyAndPaste workspace={workspace} />
        <Button look="bare" label={app.t(split ? "terminal.unsplit" : "terminal.split")} aria-pressed={split}
          onClick={() => workspace.toggleSplit()}>
          {split ? <OneIcon /> : <SplitIcon />}
        </Button>
      </div>
      <div class={split ? "panes split" : "panes"}>
        {layout.panes.map((id, pane) => (
          <Pane key={pane} pane={pane} workspace={workspace} info={terminals.find((t) => t.id === id)} active={split && pane === layout.active} student={state.student} />
        ))}
      </div>
    </>
  );
}

function NoTerminal({ state, nodes, mayChange }: { state: StudentState; nodes: string[]; mayChange: boolean }) {
  const app = useApp();
  return (
    <div class="no-terminal">
      <TerminalIcon />
      <h2>{app.t("terminal.none")}</h2>
      <p>{app.t(!mayChange ? "teacher.noTerminals" : state.lab === "running" ? "terminal.none.how" : "terminal.none.lab")}</p>
      {mayChange && (
        <div class="no-terminal-nodes">
          {nodes.map((node) => (
            <Button key={node} label={app.t("terminal.open.in", { node })} onClick={() => void app.openTerminal(node)}>
              <PlusIcon />{node}
            </Button>
          ))}
        </div>
      )}
    </div>
  );
}

function Tabs({ workspace, mayChange }: { workspace: Workspace; mayChange: boolean }) {
  const app = useApp();
  const { layout, terminals } = useStore(workspace.desk);
  const active = activeTerminal(layout);
  const ids = terminals.map((t) => t.id);
  const close = (t: TerminalInfo): void => {
    const act = (): void => void app.attempt(() => workspace.close(t.id));
    if (t.exited !== null) return act();
    app.ask({ title: app.t("terminal.close.title"), text: app.t("terminal.close.text"), yes: app.t("terminal.close.yes"), danger: true, act });
  };
  const keys = (e: KeyboardEvent, id: string): void => {
    const at = ids.indexOf(id);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: ids.length - 1 }[e.key];
    const target = to === undefined ? undefined : ids[(to + ids.length) % ids.length];
    if (target !== undefined) {
      workspace.show(target);
      document.getElementById(tabId(target))?.focus();
    } else if (e.key === "ArrowDown" || e.key === "Enter") {
      workspace.show(id);
      requestAnimationFrame(() => workspace.session(id).focus());
    } else if (e.key === "Delete" && mayChange) {
      const t = terminals[at];
      if (t) close(t);
    } else return;
    e.preventDefault();
  };
  return (
    <div class="tabs">
      <div role="tablist" aria-label={app.t("terminal.tabs")} class="tab-list">
        {terminals.map((t) => {
          const pane = layout.panes.indexOf(t.id);
          return (
            <div key={t.id} role="presentation" class={`tab ${t.id === active ? "active" : ""} ${pane >= 0 ? "seen" : ""} ${t.exited !== null ? "exited" : ""}`}>
              <button type="button" role="tab" id={tabId(t.id)} aria-selected={t.id === active} tabIndex={t.id === active ? 0 : -1}
                aria-controls={pane >= 0 ? panelId(pane) : undefined}
                onClick={() => workspace.show(t.id)} onKeyDown={(e) => keys(e, t.id)}>
                {name(t, terminals)}
              </button>
              {mayChange && (
                <button type="button" class="tab-close" tabIndex={t.id === active ? 0 : -1} aria-label={app.t("terminal.close", { title: name(t, terminals) })}
                  onClick={() => close(t)}>
                  <CrossIcon />
                </button>
              )}
            </div>
          );
        })}
      </div>
    </div>
  );
}

// "node1", and "node1 (2)" for its second terminal: what programs set as a title is no name to find it by.
function name(one: TerminalInfo, all: TerminalInfo[]): string {
  const same = all.filter((t) => t.node === one.node);
  const at = same.indexOf(one);
  return at > 0 ? `${one.node} (${at + 1})` : one.node;
}

function CopyAndPaste({ workspace }: { workspace: Workspace }) {
  const app = useApp();
  const copy = async (): Promise<void> => {
    const copied = await workspace.active()?.copy();
    app.notice(copied ? "good" : "bad", app.t(copied ? "terminal.copied" : "terminal.nothingSelected"));
  };
  const paste = async (): Promise<void> => {
    const session = workspace.active();
    session?.paste(await navigator.clipboard.readText());
    session?.focus();
  };
  return (
    <>
      <Button look="bare" label={app.t("terminal.copy")} onClick={() => void app.attempt(copy)}><CopyIcon /></Button>
      {window.isSecureContext && <Button look="bare" label={app.t("terminal.paste")} onClick={() => void app.attempt(paste)}><PasteIcon /></Button>}
    </>
  );
}

interface PaneProps {
  pane: number;
  workspace: Workspace;
  info: TerminalInfo | undefined;
  active: boolean;
  student: string;
}

function Pane({ pane, workspace, info, active, student }: PaneProps) {
  const app = useApp();
  if (!info)
    return <div class={active ? "pane active empty" : "pane empty"} onClick={() => workspace.activate(pane)}><p class="quiet">{app.t("terminal.choose")}</p></div>;
  return (
    <div class={active ? "pane active" : "pane"} role="tabpanel" id={panelId(pane)} aria-labelledby={tabId(info.id)}
      onFocusIn={() => workspace.activate(pane)}
      onDragOver={(e) => { if (e.dataTransfer?.types.includes("Files")) e.preventDefault(); }}
      onDrop={(e) => { e.preventDefault(); void app.upload(student, info.node, [...(e.dataTransfer?.files ?? [])]); }}>
      <Screen key={info.id} workspace={workspace} info={info} />
    </div>
  );
}

function Screen({ workspace, info }: { workspace: Workspace; info: TerminalInfo }) {
  const app = useApp();
  const { language } = useView();
  const place = useRef<HTMLDivElement>(null);
  const session = workspace.session(info.id);
  const view = useStore(session.view);
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    session.showIn(element);
    let planned = 0;
    const observer = new ResizeObserver(() => {
      window.clearTimeout(planned);
      planned = window.setTimeout(() => session.fit(), 60);
    });
    observer.observe(element);
    return () => {
      window.clearTimeout(planned);
      observer.disconnect();
    };
  }, [session]);
  useEffect(() => {
    session.term.textarea?.setAttribute("aria-label", app.t("terminal.label", { title: info.node, leave: "Ctrl+Shift+↑" }));
  }, [session, language, info.node]);
  const exited = view.exited ?? info.exited;
  return (
    <>
      <div class="screen" ref={place} />
      {exited !== null && <p class="screen-state" role="status">{app.t("terminal.exited", { code: exited })}</p>}
      {exited === null && view.phase.is !== "open" && <p class="screen-state">{app.t("terminal.reconnecting")}</p>}
      <TouchKeys session={session} />
    </>
  );
}

// Keys that a tablet's keyboard does not have; shown where there is no mouse.
function TouchKeys({ session }: { session: ReturnType<Workspace["session"]> }) {
  const app = useApp();
  const keys: [string, string, string][] = [
    ["Tab", "Tab", "\t"], ["Esc", "Esc", "\x1b"], ["Ctrl C", "Ctrl C", "\x03"], ["Ctrl D", "Ctrl D", "\x04"],
    ["↑", app.t("terminal.arrow.up"), "\x1b[A"], ["↓", app.t("terminal.arrow.down"), "\x1b[B"],
  ];
  return (
    <div class="touch-keys" role="group" aria-label={app.t("terminal.keys")}>
      {keys.map(([shown, label, data]) => (
        <button type="button" key={shown} aria-label={label} onClick={() => { session.type(data); session.focus(); }}>{shown}</button>
      ))}
    </div>
  );
}
