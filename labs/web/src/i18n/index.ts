// Words in the reader's language. One language at a time, for the whole page.
import { en, type Key } from "./en";
import { es } from "./es";

export type { Key };
export type Language = "en" | "es";
export type Values = Record<string, string | number>;

export const tables: Record<Language, Record<Key, string>> = { en, es };
export const languages: { code: Language; name: string }[] = [
  { code: "en", name: "English" },
  { code: "es", name: "Español" },
];

export function asLanguage(code: string | null | undefined): Language | null {
  const short = (code ?? "").slice(0, 2).toLowerCase();
  return short === "en" || short === "es" ? short : null;
}

export function fill(text: string, values: Values): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => (name in values ? String(values[name]) : whole));
}

// t("ports"), t("exercise.step", {n: 1, of: 4}); counted() takes the key without _one or _other.
export interface Words {
  language: Language;
  t(key: Key, values?: Values): string;
  counted(key: Counted, n: number): string;
}

type Counted = { [K in Key]: K extends `${infer Base}_one` ? Base : never }[Key];

export function wordsIn(language: Language): Words {
  const table = tables[language];
  const rules = new Intl.PluralRules(language);
  return {
    language,
    t: (key, values = {}) => fill(table[key], values),
    counted: (key, n) => fill(table[`${key}_${rules.select(n) === "one" ? "one" : "other"}`], { n }),
  };
}
