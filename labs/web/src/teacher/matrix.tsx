// Students by checks, live.
import type { ClassRow, CourseEntry } from "../api/types";
import { duration } from "../text/format";
import { useApp, useView } from "../ui/context";
import { isDone, isStuck, shownName } from "./rows";

interface Props {
  rows: ClassRow[];
  chosen: ReadonlySet<string>;
  onChoose: (chosen: ReadonlySet<string>) => void;
}

export function Matrix({ rows, chosen, onChoose }: Props) {
  const app = useApp();
  const all = rows.length > 0 && rows.every((r) => chosen.has(r.student));
  const toggle = (student: string): void => {
    const next = new Set(chosen);
    if (!next.delete(student)) next.add(student);
    onChoose(next);
  };
  return (
    <div class="matrix-frame">
      <table class="matrix">
        <caption class="off-screen">{app.t("teacher.matrix")}</caption>
        <thead>
          <tr>
            <th scope="col" class="choose">
              <input type="checkbox" aria-label={app.t("teacher.selectAll")} checked={all} indeterminate={!all && chosen.size > 0}
                onChange={() => onChoose(all ? new Set() : new Set(rows.map((r) => r.student)))} />
            </th>
            <th scope="col">{app.t("teacher.column.student")}</th>
            <th scope="col">{app.t("teacher.column.exercise")}</th>
            <th scope="col" class="wide">{app.t("teacher.column.progress")}</th>
            <th scope="col">{app.t("teacher.column.stuck")}</th>
            <th scope="col">{app.t("teacher.column.lab")}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => <Row key={row.student} row={row} chosen={chosen.has(row.student)} onToggle={() => toggle(row.student)} />)}
        </tbody>
      </table>
      {rows.length === 0 && <p class="quiet">{app.t("teacher.none")}</p>}
    </div>
  );
}

function exerciseTitle(name: string, course: CourseEntry[], language: string): string {
  const entry = course.find((e) => e.name === name);
  return entry?.title[language] ?? entry?.title["en"] ?? name;
}

function Row({ row, chosen, onToggle }: { row: ClassRow; chosen: boolean; onToggle: () => void }) {
  const app = useApp();
  const { course, language } = useView();
  const name = shownName(row);
  const online = app.t(row.online ? "teacher.isOnline" : "teacher.isOffline");
  return (
    <tr class={isStuck(row) ? "stuck" : isDone(row) ? "done" : ""}>
      <td class="choose"><input type="checkbox" aria-label={app.t("teacher.select", { name })} checked={chosen} onChange={onToggle} /></td>
      <th scope="row">
        <span class={row.online ? "presence online" : "presence"} role="img" aria-label={online} title={online} />
        <button type="button" class="link" aria-label={app.t("teacher.look", { name })} onClick={() => app.lookAt(row.student)}>{name}</button>
        {row.message && <span class="row-message">{row.message}</span>}
      </th>
      <td>{row.exercise && exerciseTitle(row.exercise, course, language)}</td>
      <td class="wide"><Progress row={row} /></td>
      <td class="number">{row.checks === 0 ? "" : isDone(row) ? app.t("teacher.finished") : row.stuck === null ? "" : duration(row.stuck)}</td>
      <td><span class={`chip ${row.lab}`}>{app.t(`lab.${row.lab}`)}</span></td>
    </tr>
  );
}

// A cell for each check, the steps apart.
export function Progress({ row }: { row: ClassRow }) {
  const app = useApp();
  if (row.checks === 0) return null;
  const words = app.t("teacher.progress", { passed: row.passed, checks: row.checks, step: Math.min(row.step + 1, row.steps), steps: row.steps });
  return (
    <span class="progress">
      <span class="progress-cells" role="img" aria-label={words} title={words}>
        {row.matrix.map((step, s) => (
          <span key={s} class={s === row.step ? "progress-step current" : "progress-step"}>
            {step.map((passed, c) => <span key={c} class={passed ? "cell passed" : "cell"} />)}
          </span>
        ))}
      </span>
      <span class="progress-number" aria-hidden="true">{row.passed}/{row.checks}</span>
    </span>
  );
}
