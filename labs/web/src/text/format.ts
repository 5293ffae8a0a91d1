// Numbers as people read them.
import type { Language } from "../i18n";

export function bytes(n: number, language: Language): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  let value = n;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    ++unit;
  }
  const digits = value < 10 && unit > 0 ? 1 : 0;
  return `${value.toLocaleString(language, { maximumFractionDigits: digits })} ${units[unit]}`;
}

// 250 -> "25 %": of one processor.
export function cpu(millicores: number, language: Language): string {
  return `${(millicores / 10).toLocaleString(language, { maximumFractionDigits: millicores < 100 ? 1 : 0 })} %`;
}

// "1:05:09", "5:09". Never below zero.
export function clock(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  const two = (n: number): string => String(n).padStart(2, "0");
  const [h, m] = [Math.floor(s / 3600), Math.floor((s % 3600) / 60)];
  return h > 0 ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
}

// "12 min", "1 h 05 min", "40 s".
export function duration(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  return `${Math.floor(s / 3600)} h ${String(Math.floor((s % 3600) / 60)).padStart(2, "0")} min`;
}

export function timeOfDay(rfc3339: string, language: Language): string {
  const when = new Date(rfc3339);
  return Number.isNaN(when.getTime()) ? "" : when.toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit" });
}

export function secondsUntil(rfc3339: string, now: number): number | null {
  const when = Date.parse(rfc3339);
  return Number.isNaN(when) ? null : (when - now) / 1000;
}
