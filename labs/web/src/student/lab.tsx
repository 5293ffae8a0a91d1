// The lab: its nodes, what they use, and the ports that are open in it. A teacher sees the same of one student.
import { useRef } from "preact/hooks";

import { api } from "../api/http";
import type { LabNode, Port, StudentState } from "../api/types";
import { bytes, cpu } from "../text/format";
import { Button, Meter } from "../ui/controls";
import { useApp } from "../ui/context";
import { BinIcon, LinkIcon, PlusIcon, TerminalIcon, UploadIcon } from "../ui/icons";
import { JobLine } from "./job";

export function LabPanel({ state, mayChange }: { state: StudentState; mayChange: boolean }) {
  const app = useApp();
  const busy = state.job !== null && state.job.error === "";
  const startable = state.lab === "none" || state.lab === "stopped" || state.lab === "failed";
  return (
    <>
      <div class="lab-head">
        <h2>{app.t("nodes")}</h2>
        <span class={`chip ${state.lab}`}><span class="off-screen">{app.t("lab.state")}: </span>{app.t(`lab.${state.lab}`)}</span>
      </div>
      {!state.exercise && !mayChange && <JobLine job={state.job} />}
      {state.nodes.length === 0 && <p class="quiet">{app.t("nodes.none")}</p>}
      <ul class="nodes">
        {state.nodes.map((node) => <NodeCard key={node.name} node={node} state={state} mayChange={mayChange} busy={busy} />)}
      </ul>
      {mayChange && startable && (state.lab !== "none" || state.exercise) && (
        <Button disabled={busy} onClick={() => void app.attempt(() => api.start(state.student))}>
          {app.t(state.lab === "none" ? "lab.start" : "lab.startAgain")}
        </Button>
      )}
      {mayChange && state.lab === "running" && <AddNode state={state} busy={busy} />}
      <h2>{app.t("ports")}</h2>
      {state.ports.length === 0 ? <p class="quiet">{app.t("ports.none")}</p> : <Ports ports={state.ports} />}
    </>
  );
}

function AddNode({ state, busy }: { state: StudentState; busy: boolean }) {
  const app = useApp();
  const full = state.nodes.length >= state.nodeLimit;
  return (
    <div class="add-node">
      <Button disabled={full || busy} onClick={() => void app.attempt(() => api.addNode(state.student))}>
        <PlusIcon />{app.t("nodes.add")}
      </Button>
      {full && <span class="quiet">{app.t("nodes.limit", { n: state.nodeLimit })}</span>}
    </div>
  );
}

function NodeCard({ node, state, mayChange, busy }: { node: LabNode; state: StudentState; mayChange: boolean; busy: boolean }) {
  const app = useApp();
  const { language } = app.words;
  const picker = useRef<HTMLInputElement>(null);
  const used = bytes(node.memoryBytes, language);
  const memory = node.memoryLimit > 0 ? app.t("nodes.of", { used, limit: bytes(node.memoryLimit, language) }) : used;
  const remove = (): void =>
    app.ask({
      title: app.t("nodes.remove.title", { node: node.name }), text: app.t("nodes.remove.text"), yes: app.t("nodes.remove.yes"), danger: true,
      act: () => void app.attempt(() => api.removeNode(state.student, node.name)),
    });
  return (
    <li class={node.running ? "node" : "node stopped"}>
      <div class="node-head">
        <span class="dot" aria-hidden="true" />
        <h3>{node.name}</h3>
        <span class="off-screen">({app.t(node.running ? "nodes.running" : "nodes.stopped")})</span>
        <code>{node.address}</code>
      </div>
      <dl class="node-use">
        <dt>{app.t("nodes.cpu")}</dt>
        <dd>{cpu(node.cpuMillicores, language)}</dd>
        <dd class="node-meter"><Meter value={node.cpuMillicores} limit={1000} label={cpu(node.cpuMillicores, language)} /></dd>
        <dt>{app.t("nodes.memory")}</dt>
        <dd>{memory}</dd>
        <dd class="node-meter">{node.memoryLimit > 0 && <Meter value={node.memoryBytes} limit={node.memoryLimit} label={memory} />}</dd>
      </dl>
      {mayChange && (
        <div class="node-tools">
          <Button look="bare" disabled={!node.running} label={app.t("terminal.open.in", { node: node.name })} onClick={() => void app.openTerminal(node.name)}><TerminalIcon /></Button>
          <Button look="bare" disabled={!node.running} label={app.t("nodes.upload", { node: node.name })} onClick={() => picker.current?.click()}><UploadIcon /></Button>
          <input ref={picker} type="file" multiple hidden onChange={(e) => {
            void app.upload(state.student, node.name, [...(e.currentTarget.files ?? [])]);
            e.currentTarget.value = "";
          }} />
          {state.nodes[0]?.name !== node.name && (
            <Button look="bare" disabled={busy} label={app.t("nodes.remove", { node: node.name })} onClick={remove}><BinIcon /></Button>
          )}
        </div>
      )}
    </li>
  );
}

function Ports({ ports }: { ports: Port[] }) {
  const app = useApp();
  return (
    <ul class="ports">
      {ports.map((p) => {
        const what = p.service || p.node;
        return (
          <li key={`${p.node}:${p.port}`}>
            <a href={p.url} target="_blank" rel="noopener" aria-label={app.t("ports.open", { what, port: p.port })}>
              <span class="port-what">{what}</span>
              <span class="port-number">{p.port}</span>
              <LinkIcon />
            </a>
          </li>
        );
      })}
    </ul>
  );
}
