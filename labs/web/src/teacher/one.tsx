// One student, as the teacher sees them: how far, in which lab, and their terminals, watched or typed into.
import type { ClassRow, Exercise } from "../api/types";
import { Checks } from "../student/exercise";
import { LabPanel } from "../student/lab";
import { Terminals } from "../student/terminals";
import { Button } from "../ui/controls";
import { useApp, useView } from "../ui/context";
import { BackIcon, ResetIcon } from "../ui/icons";
import { Progress } from "./matrix";
import { useReset } from "./page";
import { shownName } from "./rows";
import { titleOf } from "../text/markdown";

export function OneStudent({ row }: { row: ClassRow }) {
  const app = useApp();
  const { known, sharing } = useView();
  const reset = useReset();
  const state = known.students[row.student];
  return (
    <main class="one">
      <div class="one-head">
        <Button look="bare" onClick={() => app.lookAt(null)}><BackIcon />{app.t("teacher.back")}</Button>
        <h1>
          <span class={row.online ? "presence online" : "presence"} role="img" aria-label={app.t(row.online ? "teacher.isOnline" : "teacher.isOffline")} />
          {shownName(row)}
        </h1>
        <Progress row={row} />
        <span class="spring" />
        <fieldset class="mode">
          <legend class="off-screen">{app.t("teacher.mode")}</legend>
          {(["watch", "assist"] as const).map((mode) => (
            <label key={mode} title={app.t(`teacher.${mode}.how`)}>
              <input type="radio" name="mode" checked={sharing === mode} onChange={() => app.share(mode)} />
              <span>{app.t(`teacher.${mode}`)}</span>
            </label>
          ))}
        </fieldset>
        <Button look="danger" onClick={() => reset([row], false)}><ResetIcon />{app.t("teacher.reset")}</Button>
      </div>
      {!state || !app.workspace ? (
        <p class="loading" role="status">{app.t("app.loading")}</p>
      ) : (
        <div class="one-body">
          <section class="panel one-checks" aria-label={app.t("panel.exercise")}>{state.exercise && <AllChecks exercise={state.exercise} />}</section>
          <section class={`panel terminals ${sharing}`} aria-label={app.t("panel.terminals")}>
            <Terminals workspace={app.workspace} state={state} mayChange={false} />
          </section>
          <section class="panel lab" aria-label={app.t("panel.lab")}><LabPanel state={state} mayChange={false} /></section>
        </div>
      )}
    </main>
  );
}

function AllChecks({ exercise }: { exercise: Exercise }) {
  return (
    <>
      <h2 class="one-exercise">{exercise.title}</h2>
      {exercise.steps.map((step, i) => (
        <div key={step.name} class="one-step">
          <h3>{i + 1}. {titleOf(step.text) || step.name}</h3>
          <Checks step={step} later={i > exercise.current && !exercise.done} />
        </div>
      ))}
    </>
  );
}
