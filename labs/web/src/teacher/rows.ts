// The matrix's rows: which, and in which order. Pure.
import type { ClassRow } from "../api/types";

export type Order = "name" | "progress" | "stuck";

export const STUCK_AFTER = 600; // seconds without a check turning green, until a row stands out

export const shownName = (row: ClassRow): string => row.title || row.student;
export const isDone = (row: ClassRow): boolean => row.checks > 0 && row.passed >= row.checks;
// Who is offline does not wait for help.
export const isStuck = (row: ClassRow): boolean => row.online && row.checks > 0 && !isDone(row) && (row.stuck ?? 0) >= STUCK_AFTER;

const share = (row: ClassRow): number => (row.checks > 0 ? row.passed / row.checks : 0);

export function arrange(rows: ClassRow[], search: string, order: Order, language: string): ClassRow[] {
  const wanted = search.trim().toLocaleLowerCase(language);
  const fit = rows.filter((r) => `${r.student} ${r.title}`.toLocaleLowerCase(language).includes(wanted));
  const byName = (a: ClassRow, b: ClassRow): number =>
    shownName(a).localeCompare(shownName(b), language, { numeric: true }) || a.student.localeCompare(b.student);
  const by: Record<Order, (a: ClassRow, b: ClassRow) => number> = {
    name: byName,
    progress: (a, b) => share(a) - share(b) || byName(a, b),
    stuck: (a, b) => (b.stuck ?? 0) - (a.stuck ?? 0) || byName(a, b),
  };
  return fit.sort(by[order]);
}

export interface Totals {
  online: number;
  stuck: number;
  done: number;
}

export function totals(rows: ClassRow[]): Totals {
  const count = (fits: (row: ClassRow) => boolean): number => rows.filter(fits).length;
  return { online: count((r) => r.online), stuck: count(isStuck), done: count(isDone) };
}
