// What the reader sees: refused, a student's page, or the teacher's.
import type { App } from "../app";
import { StudentPage } from "../student/page";
import { TeacherPage } from "../teacher/page";
import { AppContext, useApp, useView } from "./context";
import { Header } from "./header";
import { Notices, Said } from "./notices";
import { QuestionDialog } from "./question";

export function Page({ app }: { app: App }) {
  return (
    <AppContext.Provider value={app}>
      <Whole />
    </AppContext.Provider>
  );
}

function Whole() {
  const app = useApp();
  const { me, refused } = useView();
  document.title = me ? `${me.title || me.student || me.class} · lab` : "lab";
  if (refused === "session") return <Refusal title={app.t("app.noSession")} text={app.t("app.noSession.how", { example: `${location.origin}/s/…` })} />;
  if (!me && refused === "unreachable") return <Refusal title={app.t("app.unreachable")} text={app.t("app.unreachable.how")} />;
  if (!me) return <p class="loading" role="status">{app.t("app.loading")}</p>;
  return (
    <div class="page">
      {me.role === "student" && (
        <nav class="skips">
          <a href="#exercise">{app.t("app.skip.exercise")}</a>
          <a href="#terminals">{app.t("app.skip.terminals")}</a>
          <a href="#lab">{app.t("app.skip.lab")}</a>
        </nav>
      )}
      <Header me={me} />
      {me.role === "student" ? <StudentPage student={me.student} /> : <TeacherPage />}
      <Notices />
      <Said />
      <QuestionDialog />
    </div>
  );
}

function Refusal({ title, text }: { title: string; text: string }) {
  return (
    <main class="refusal">
      <Mark />
      <h1>{title}</h1>
      <p>{text}</p>
    </main>
  );
}

export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" width="28" height="28" aria-hidden="true" focusable="false">
      <rect class="mark-ground" width="32" height="32" rx="8" />
      <path class="mark-sign" d="M9 11l5 5-5 5M16 22h7" />
    </svg>
  );
}
