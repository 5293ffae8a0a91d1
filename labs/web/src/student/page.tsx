// A student's page: the exercise, the terminals, the lab. On narrow windows one of the three at a time.
import { useEffect, useState } from "preact/hooks";

import type { Panel } from "../app";
import { useApp, useView } from "../ui/context";
import { ExercisePanel } from "./exercise";
import { LabPanel } from "./lab";
import { Separator } from "./separator";
import { Terminals } from "./terminals";

const PANELS: Panel[] = ["exercise", "terminals", "lab"];

export function useNarrow(): boolean {
  const query = "(max-width: 999px)";
  const [narrow, set] = useState(window.matchMedia(query).matches);
  useEffect(() => {
    const media = window.matchMedia(query);
    const update = (): void => set(media.matches);
    media.addEventListener("change", update);
    return () => media.removeEventListener("change", update);
  }, []);
  return narrow;
}

export function StudentPage({ student }: { student: string }) {
  const app = useApp();
  const { known, panel } = useView();
  const narrow = useNarrow();
  const state = known.students[student];
  if (!state || !app.workspace) return <p class="loading" role="status">{app.t("app.loading")}</p>;
  return (
    <>
      {(state.over || state.paused || state.lab === "paused") && (
        <div class="paused" role="status">
          <strong>{app.t(state.over ? "over.title" : "paused.title")}</strong> {app.t(state.over ? "over.text" : "paused.text")}
        </div>
      )}
      {narrow && (
        <nav class="panel-choice" aria-label={app.t("panel.choose")}>
          {PANELS.map((p) => (
            <button type="button" key={p} aria-current={p === panel ? "true" : undefined} onClick={() => app.showPanel(p)}>
              {app.t(`panel.${p}`)}
            </button>
          ))}
        </nav>
      )}
      <main class="student" data-panel={panel}>
        <section id="exercise" class="panel exercise" aria-label={app.t("panel.exercise")} tabIndex={-1}>
          <ExercisePanel state={state} />
        </section>
        <Separator />
        <section id="terminals" class="panel terminals" aria-label={app.t("panel.terminals")} tabIndex={-1}>
          <Terminals workspace={app.workspace} state={state} mayChange />
        </section>
        <section id="lab" class="panel lab" aria-label={app.t("panel.lab")} tabIndex={-1}>
          <LabPanel state={state} mayChange />
        </section>
      </main>
    </>
  );
}
