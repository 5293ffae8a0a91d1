// One command into a terminal of many students.
import { useState } from "preact/hooks";

import { api } from "../api/http";
import type { ClassRow } from "../api/types";
import { Button, Select } from "../ui/controls";
import { useApp } from "../ui/context";

export function Broadcast({ nodes, all, chosen }: { nodes: string[]; all: ClassRow[]; chosen: ReadonlySet<string> }) {
  const app = useApp();
  const [command, setCommand] = useState("");
  const [wanted, setWanted] = useState("");
  // The one that was chosen may have gone since.
  const node = nodes.includes(wanted) ? wanted : (nodes[0] ?? "");
  // Nobody chosen means everybody.
  const students = chosen.size > 0 ? all.filter((r) => chosen.has(r.student)) : all;
  const ready = command.trim() !== "" && students.length > 0 && node !== "";
  const send = (e: Event): void => {
    e.preventDefault();
    if (!ready) return;
    void app.attempt(async () => {
      const { students: n } = await api.broadcast(command, node, students.map((r) => r.student));
      app.notice("good", app.words.counted("teacher.broadcast.sent", n));
      setCommand("");
    });
  };
  return (
    <form class="broadcast" aria-labelledby="broadcast-title" onSubmit={send}>
      <h2 id="broadcast-title">{app.t("teacher.broadcast")}</h2>
      <p class="quiet">{app.t("teacher.broadcast.how")}</p>
      <div class="broadcast-line">
        <Select label={app.t("teacher.broadcast.node")} value={node} choices={nodes.map((n) => ({ value: n, name: n }))} onChoose={setWanted} />
        <span class="field grow">
          <label for="broadcast-command">{app.t("teacher.broadcast.command")}</label>
          <input id="broadcast-command" class="code" autocomplete="off" spellcheck={false} value={command} onInput={(e) => setCommand(e.currentTarget.value)} />
        </span>
        <Button look="main" type="submit" disabled={!ready}>
          {app.words.counted("teacher.broadcast.send", students.length)}
        </Button>
      </div>
    </form>
  );
}
