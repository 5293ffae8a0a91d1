// The shapes of docs/classroom-api.md.

export interface Me {
  role: "student" | "teacher";
  class: string;
  student: string; // empty: the teacher
  title: string;
  language: string;
  ends: string; // RFC 3339; empty: no end
  paused: boolean;
}

export interface CourseEntry {
  name: string;
  title: Record<string, string>; // by language
  minutes: number;
  nodes: number;
}

export type LabPhase = "none" | "making" | "running" | "paused" | "stopped" | "failed";

export interface Job {
  what: string; // "start", "exercise", "reset", "node"
  line: string;
  before: number; // so many jobs of others come first
  started: string;
  error: string;
}

export interface LabNode {
  name: string;
  address: string;
  running: boolean;
  memoryBytes: number;
  memoryLimit: number; // 0: none
  cpuMillicores: number;
}

export interface Port {
  node: string;
  port: number;
  service: string; // "default/webui"; empty: a listener of the node
  url: string;
}

export interface TerminalInfo {
  id: string;
  node: string;
  title: string;
  exited: number | null;
  cols: number;
  rows: number;
}

export interface Check {
  say: string;
  passed: boolean;
  seen: string;
}

export interface Step {
  name: string;
  text: string; // Markdown
  done: boolean;
  checks: Check[];
}

export interface Exercise {
  name: string;
  title: string;
  language: string;
  minutes: number;
  current: number; // index into steps
  done: boolean;
  error: string; // why the exercise cannot be read any more
  steps: Step[];
}

export interface StudentState {
  student: string;
  title: string;
  version: number;
  lab: LabPhase;
  job: Job | null;
  nodes: LabNode[];
  nodeLimit: number;
  ports: Port[];
  terminals: TerminalInfo[];
  exercise: Exercise | null;
  seen: string;
  ends: string;
  paused: boolean;
  over: boolean; // the class's end has come, and labs stand still
}

export interface ClassRow {
  student: string;
  title: string;
  lab: LabPhase;
  exercise: string;
  step: number; // index of the step in hand: the number of steps done
  steps: number;
  passed: number;
  checks: number;
  matrix: boolean[][]; // a list of marks for each step
  stuck: number | null; // seconds since the last check turned green; null before the start and at the end
  seen: string;
  online: boolean;
  message: string;
}

export interface ClassState {
  name: string;
  language: string;
  exercise: string;
  ends: string;
  paused: boolean;
  over: boolean;
  nodes: string[]; // the names that nodes of the class's labs have
  students: ClassRow[];
}

export type ServerEvent =
  | { type: "state"; state: StudentState }
  | { type: "class"; class: ClassState }
  | { type: "notice"; text: string };
