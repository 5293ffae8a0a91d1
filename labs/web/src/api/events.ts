// What the server's events make of what the page knows. Pure: the page's tests feed it frames.
import type { ClassState, ServerEvent, StudentState } from "./types";

export interface Known {
  students: Record<string, StudentState>;
  class: ClassState | null;
  firstAfterConnect: boolean; // a server that was started anew counts versions anew
}

export const nothingKnown: Known = { students: {}, class: null, firstAfterConnect: true };

export function parseEvent(text: string): ServerEvent | null {
  let event: unknown;
  try {
    event = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof event !== "object" || event === null) return null;
  const { type, state, class: klass, text: words } = event as Record<string, unknown>;
  if (type === "state" && typeof state === "object" && state !== null) return { type, state: state as StudentState };
  if (type === "class" && typeof klass === "object" && klass !== null) return { type, class: klass as ClassState };
  if (type === "notice" && typeof words === "string") return { type, text: words };
  return null;
}

// Whole states: one may come twice or late without harm.
export function learn(known: Known, event: ServerEvent): Known {
  if (event.type === "class") return { ...known, class: event.class };
  if (event.type !== "state") return known;
  const before = known.students[event.state.student];
  if (before && !known.firstAfterConnect && event.state.version < before.version) return known;
  return {
    ...known,
    firstAfterConnect: false,
    students: { ...known.students, [event.state.student]: event.state },
  };
}

// Another exercise, or this one from its beginning: what ran before is gone.
export function labWasReplaced(before: StudentState | undefined, after: StudentState): boolean {
  return (before?.job?.what === "exercise" || before?.job?.what === "reset") && after.job === null;
}

// What a person who does not see the colours change must be told.
export type Change =
  | { what: "passed"; say: string }
  | { what: "step"; number: number; of: number }
  | { what: "exercise" }
  | { what: "begun"; title: string }
  | { what: "running" }
  | { what: "failed"; error: string }
  | { what: "paused" }
  | { what: "resumed" }
  | { what: "over" }
  | { what: "extended" };

export function changes(before: StudentState | undefined, after: StudentState): Change[] {
  if (!before) return [];
  const out: Change[] = [];
  const [old, now] = [before.exercise, after.exercise];
  if (now && old && now.name === old.name) {
    now.steps.forEach((step, s) => {
      step.checks.forEach((check, c) => {
        if (check.passed && old.steps[s]?.checks[c]?.passed === false) out.push({ what: "passed", say: check.say });
      });
      if (step.done && old.steps[s]?.done === false) out.push({ what: "step", number: s + 1, of: now.steps.length });
    });
    if (now.done && !old.done) out.push({ what: "exercise" });
  } else if (now) {
    out.push({ what: "begun", title: now.title });
  }
  if (after.lab === "running" && (before.lab === "making" || before.lab === "stopped")) out.push({ what: "running" });
  if (after.job?.error && !before.job?.error) out.push({ what: "failed", error: after.job.error });
  if (after.over !== before.over) out.push({ what: after.over ? "over" : "extended" });
  else if (after.paused !== before.paused) out.push({ what: after.paused ? "paused" : "resumed" });
  return out;
}
