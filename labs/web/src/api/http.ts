// Requests to the classroom's server. Its errors are Kubernetes' Status objects.
import type { ClassState, CourseEntry, Me, StudentState } from "./types";

export class ApiError extends Error {
  constructor(
    readonly status: number, // HTTP's; 0: the server was not reached
    message: string,
  ) {
    super(message);
  }
}

async function said(answer: Response): Promise<string> {
  try {
    const status = (await answer.json()) as { message?: unknown };
    if (typeof status.message === "string" && status.message !== "") return status.message;
  } catch {
    // No Status: the code alone tells.
  }
  return `HTTP ${answer.status}`;
}

export async function request<T>(method: string, path: string, body?: unknown): Promise<T> {
  const init: RequestInit = { method, credentials: "same-origin", headers: { Accept: "application/json" } };
  if (body instanceof Blob) init.body = body;
  else if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { ...init.headers, "Content-Type": "application/json" };
  }
  let answer: Response;
  try {
    answer = await fetch(path, init);
  } catch (e) {
    throw new ApiError(0, e instanceof Error ? e.message : String(e));
  }
  if (!answer.ok) throw new ApiError(answer.status, await said(answer));
  const text = await answer.text();
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

const part = encodeURIComponent;
const ofStudent = (student: string): string => `/api/students/${part(student)}`;

export const api = {
  me: () => request<Me>("GET", "/api/me"),
  course: () => request<CourseEntry[]>("GET", "/api/course"),
  student: (s: string) => request<StudentState>("GET", ofStudent(s)),
  start: (s: string) => request<unknown>("POST", `${ofStudent(s)}/start`),
  addNode: (s: string) => request<unknown>("POST", `${ofStudent(s)}/nodes`),
  removeNode: (s: string, node: string) => request<unknown>("DELETE", `${ofStudent(s)}/nodes/${part(node)}`),
  exercise: (s: string, name: string, language: string) =>
    request<unknown>("POST", `${ofStudent(s)}/exercise`, { name, language }),
  reset: (s: string) => request<unknown>("POST", `${ofStudent(s)}/exercise/reset`),
  hint: (s: string) => request<{ text: string }>("POST", `${ofStudent(s)}/exercise/hint`),
  openTerminal: (s: string, node: string, cols: number, rows: number) =>
    request<{ id: string }>("POST", `${ofStudent(s)}/terminals`, { node, cols, rows }),
  closeTerminal: (s: string, id: string) => request<unknown>("DELETE", `${ofStudent(s)}/terminals/${part(id)}`),
  upload: (s: string, node: string, file: File) =>
    request<unknown>("PUT", `${ofStudent(s)}/files/${part(file.name)}?node=${part(node)}`, file),

  class: () => request<ClassState>("GET", "/api/class"),
  extend: (minutes: number) => request<{ ends: string }>("POST", "/api/class/extend", { minutes }),
  pause: () => request<unknown>("POST", "/api/class/pause"),
  resume: () => request<unknown>("POST", "/api/class/resume"),
  resetClass: (students: string[] | null) =>
    request<unknown>("POST", "/api/class/reset", students === null ? {} : { students }),
  broadcast: (command: string, node: string, students: string[]) =>
    request<{ students: number }>("POST", "/api/class/broadcast", { command, node, students }),
};

export function socketUrl(path: string): string {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`;
}

export function terminalPath(student: string, id: string, from: number): string {
  return `${ofStudent(student)}/terminals/${part(id)}/stream?from=${from}`;
}
