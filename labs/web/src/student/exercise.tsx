// The exercise: its steps, the text of one, and its checks as they turn green.
import { useEffect, useRef, useState } from "preact/hooks";

import { api } from "../api/http";
import type { Check, Exercise, Step, StudentState } from "../api/types";
import { Markdown, titleOf } from "../text/markdown";
import { Button } from "../ui/controls";
import { useApp } from "../ui/context";
import { BulbIcon, CheckIcon, ListIcon, NextIcon, ResetIcon } from "../ui/icons";
import { Course, CourseDialog } from "./course";
import { JobLine } from "./job";
import { RunBlockView } from "./run-block";

export function ExercisePanel({ state }: { state: StudentState }) {
  const app = useApp();
  const [choosing, setChoosing] = useState(false);
  const { exercise } = state;
  if (!exercise)
    return (
      <div class="exercise-empty">
        <h1>{app.t("course.choose")}</h1>
        <p>{app.t("lab.none.how")}</p>
        <JobLine job={state.job} />
        {state.lab === "none" && (
          <Button look="main" disabled={state.job !== null && state.job.error === ""} onClick={() => void app.attempt(() => api.start(state.student))}>
            {app.t("lab.start")}
          </Button>
        )}
        <Course state={state} onBegun={() => undefined} />
      </div>
    );
  const reset = (): void =>
    app.ask({
      title: app.t("exercise.reset.title"), text: app.t("exercise.reset.text"), yes: app.t("exercise.reset.yes"), danger: true,
      act: () => void app.attempt(() => api.reset(state.student)),
    });
  return (
    <>
      <div class="exercise-head">
        <h1>{exercise.title}</h1>
        <div class="exercise-tools">
          <Button look="bare" onClick={() => setChoosing(true)}><ListIcon />{app.t("course.title")}</Button>
          <Button look="bare" disabled={state.job !== null && state.job.error === ""} onClick={reset}><ResetIcon />{app.t("exercise.reset")}</Button>
        </div>
      </div>
      {choosing && <CourseDialog state={state} onClose={() => setChoosing(false)} />}
      <JobLine job={state.job} />
      {exercise.error && <p class="job failed" role="alert">{exercise.error}</p>}
      <Steps key={exercise.name} exercise={exercise} student={state.student} />
    </>
  );
}

const stepTitle = (step: Step): string => titleOf(step.text) || step.name;

// A step that becomes done stays in sight until one goes on: nobody's text is taken away in the middle of a sentence.
function Steps({ exercise, student }: { exercise: Exercise; student: string }) {
  const app = useApp();
  const [shown, setShown] = useState(exercise.current);
  const top = useRef<HTMLDivElement>(null);
  const before = useRef(exercise.current);
  useEffect(() => {
    if (exercise.current < before.current) setShown(exercise.current); // a reset
    before.current = exercise.current;
  }, [exercise.current]);
  const last = exercise.steps.length - 1;
  const at = Math.min(Math.max(0, shown), last);
  const step = exercise.steps[at];
  if (!step) return null;
  const go = (to: number): void => {
    setShown(to);
    top.current?.focus();
    document.getElementById("exercise")?.scrollTo({ top: 0 });
  };
  const next = exercise.steps[at + 1];
  return (
    <>
      <StepList exercise={exercise} shown={at} onGo={go} />
      <div class="step" ref={top} tabIndex={-1}>
        <p class="step-number">{app.t("exercise.step", { n: at + 1, of: exercise.steps.length })}</p>
        <Markdown text={step.text} run={(block, key) => <RunBlockView key={`${step.name}-${key}`} block={block} />} />
        <Checks step={step} later={at > exercise.current && !exercise.done} />
        {step.done && next && (
          <div class="step-end">
            <p>{app.t("exercise.step.finished")}</p>
            <Button look="main" onClick={() => go(at + 1)}>{app.t("exercise.next", { title: stepTitle(next) })}<NextIcon /></Button>
          </div>
        )}
        {exercise.done && at === last && <p class="finished"><CheckIcon />{app.t("exercise.finished")}</p>}
        {!exercise.done && at === exercise.current && <Hint key={step.name} student={student} />}
        {!exercise.done && at !== exercise.current && !step.done && (
          <Button onClick={() => go(exercise.current)}>{app.t("exercise.toCurrent")}</Button>
        )}
      </div>
    </>
  );
}

function StepList({ exercise, shown, onGo }: { exercise: Exercise; shown: number; onGo: (step: number) => void }) {
  const app = useApp();
  const word = (step: Step, i: number): "done" | "current" | "later" => (step.done ? "done" : i === exercise.current ? "current" : "later");
  return (
    <ol class="steps" aria-label={app.t("exercise.steps")}>
      {exercise.steps.map((step, i) => (
        <li key={step.name} class={word(step, i)}>
          <button type="button" aria-current={i === shown ? "step" : undefined} onClick={() => onGo(i)}>
            <span class="step-sign" aria-hidden="true">{step.done ? <CheckIcon /> : i + 1}</span>
            <span class="step-name">{stepTitle(step)}</span>
            <span class="off-screen">, {app.t(`exercise.step.${word(step, i)}`)}</span>
          </button>
        </li>
      ))}
    </ol>
  );
}

export function Checks({ step, later }: { step: Step; later: boolean }) {
  const app = useApp();
  return (
    <section class="checks" aria-label={app.t("exercise.checks")}>
      <h2>{app.t("exercise.checks")}</h2>
      <p class="checks-how">{later ? app.t("exercise.later") : app.t("exercise.checks.how")}</p>
      <ul>{step.checks.map((check, i) => <CheckLine key={i} check={check} later={later} />)}</ul>
    </section>
  );
}

function CheckLine({ check, later }: { check: Check; later: boolean }) {
  const app = useApp();
  const look = check.passed ? "passed" : later ? "later" : "waiting";
  return (
    <li class={`check ${look}`}>
      <span class="check-sign" aria-hidden="true">{check.passed && <CheckIcon />}</span>
      <span class="check-words">
        <span>{check.say}<span class="off-screen"> ({app.t(check.passed ? "exercise.check.passed" : "exercise.check.waiting")})</span></span>
        {!check.passed && check.seen !== "" && <span class="check-seen">{app.t("exercise.check.seen", { seen: check.seen })}</span>}
      </span>
    </li>
  );
}

function Hint({ student }: { student: string }) {
  const app = useApp();
  const [text, setText] = useState<string | null>(null);
  if (text === null)
    return (
      <Button onClick={() => void app.attempt(async () => setText((await api.hint(student)).text))}>
        <BulbIcon />{app.t("exercise.hint")}
      </Button>
    );
  return <p class="hint" role="status"><BulbIcon /><span>{text}</span></p>;
}
