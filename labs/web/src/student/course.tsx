// The exercises there are.
import { api } from "../api/http";
import type { CourseEntry, StudentState } from "../api/types";
import { Button, Dialog } from "../ui/controls";
import { useApp, useView } from "../ui/context";
import { NextIcon } from "../ui/icons";

export function Course({ state, onBegun }: { state: StudentState; onBegun: () => void }) {
  const app = useApp();
  const { course, language } = useView();
  const busy = state.job !== null && state.job.error === "";
  const title = (entry: CourseEntry): string => entry.title[language] ?? entry.title["en"] ?? entry.name;
  const begin = (entry: CourseEntry): void => {
    const go = (): void => {
      void app.attempt(() => api.exercise(state.student, entry.name, language));
      onBegun();
    };
    const { exercise } = state;
    if (!exercise) return go();
    app.ask({
      title: app.t("course.leave.title"), text: app.t("course.leave.text", { title: exercise.title }),
      yes: app.t("course.leave.yes", { title: title(entry) }), danger: true, act: go,
    });
  };
  return (
    <ol class="course">
      {course.map((entry) => {
        const here = entry.name === state.exercise?.name;
        return (
          <li key={entry.name}>
            <button type="button" class={here ? "course-entry here" : "course-entry"} disabled={busy || here} onClick={() => begin(entry)}>
              <span class="course-title">{title(entry)}</span>
              <span class="course-facts">
                {here ? app.t("course.current") : `${app.t("course.minutes", { n: entry.minutes })} · ${app.words.counted("course.nodes", entry.nodes)}`}
              </span>
              <NextIcon />
            </button>
          </li>
        );
      })}
    </ol>
  );
}

export function CourseDialog({ state, onClose }: { state: StudentState; onClose: () => void }) {
  const app = useApp();
  return (
    <Dialog title={app.t("course.title")} onClose={onClose} wide>
      <Course state={state} onBegun={onClose} />
      <div class="dialog-buttons"><Button onClick={onClose}>{app.t("close")}</Button></div>
    </Dialog>
  );
}
