// The teacher's page: the whole class at one look, or one student.
import { useState } from "preact/hooks";

import { api } from "../api/http";
import type { ClassRow, ClassState } from "../api/types";
import { timeOfDay } from "../text/format";
import { Button, Menu, Select } from "../ui/controls";
import { useApp, useView } from "../ui/context";
import { Broadcast } from "./broadcast";
import { Matrix } from "./matrix";
import { OneStudent } from "./one";
import { arrange, totals, type Order } from "./rows";

export function TeacherPage() {
  const app = useApp();
  const { known, looking } = useView();
  if (!known.class) return <p class="loading" role="status">{app.t("app.loading")}</p>;
  const row = known.class.students.find((r) => r.student === looking);
  return row ? <OneStudent key={row.student} row={row} /> : <WholeClass one={known.class} />;
}

function WholeClass({ one }: { one: ClassState }) {
  const app = useApp();
  const [search, setSearch] = useState("");
  const [order, setOrder] = useState<Order>("name");
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const rows = arrange(one.students, search, order, app.words.language);
  const sum = totals(one.students);
  return (
    <main class="teacher">
      {one.over ? <div class="paused" role="status"><strong>{app.t("over.title")}</strong> {app.t("teacher.over")}</div>
        : one.paused && <div class="paused" role="status"><strong>{app.t("paused.title")}</strong></div>}
      <div class="teacher-head">
        <h1>{app.t("teacher.title", { name: one.name })}</h1>
        <p class="totals">
          <span>{app.words.counted("teacher.students", one.students.length)}</span>
          <span class="good">{app.t("teacher.online", { n: sum.online })}</span>
          <span>{app.t("teacher.done", { n: sum.done })}</span>
          <span class={sum.stuck > 0 ? "bad" : ""}>{app.t("teacher.stuck", { n: sum.stuck })}</span>
        </p>
        <Actions one={one} rows={one.students} />
      </div>
      <div class="teacher-tools">
        <span class="field">
          <label for="search">{app.t("teacher.search")}</label>
          <input id="search" type="search" value={search} onInput={(e) => setSearch(e.currentTarget.value)} />
        </span>
        <Select<Order> label={app.t("teacher.sort")} value={order} onChoose={setOrder}
          choices={(["name", "progress", "stuck"] as const).map((value) => ({ value, name: app.t(`teacher.sort.${value}`) }))} />
      </div>
      <Matrix rows={rows} chosen={chosen} onChoose={setChosen} />
      <Broadcast nodes={one.nodes} all={one.students} chosen={chosen} />
    </main>
  );
}

// Asks, then resets those students; all when the list is that of all.
export function useReset(): (rows: ClassRow[], all: boolean) => void {
  const app = useApp();
  return (rows, all) =>
    app.ask({
      title: app.words.counted("teacher.reset.title", rows.length), text: app.t("teacher.reset.text"), yes: app.t("teacher.reset.yes"), danger: true,
      act: () => void app.attempt(async () => {
        await api.resetClass(all ? null : rows.map((r) => r.student));
        app.notice("good", app.t("teacher.resetting"));
      }),
    });
}

function Actions({ one, rows }: { one: ClassState; rows: ClassRow[] }) {
  const app = useApp();
  const reset = useReset();
  const extend = (minutes: number) => (): void =>
    void app.attempt(async () => {
      const { ends } = await api.extend(minutes);
      app.notice("good", app.t("teacher.extended", { time: timeOfDay(ends, app.words.language) }));
    });
  return (
    <div class="teacher-actions">
      <Button disabled={one.over} onClick={() => void app.attempt(one.paused ? api.resume : api.pause)}>{app.t(one.paused ? "teacher.resume" : "teacher.pause")}</Button>
      <Menu label={app.t("teacher.extend")} picture={app.t("teacher.extend")}
        items={[10, 15, 30, 60].map((n) => ({ name: app.t("teacher.extend.minutes", { n }), act: extend(n) }))} />
      <Button look="danger" disabled={rows.length === 0} onClick={() => reset(rows, true)}>{app.t("teacher.resetAll")}</Button>
      <span class="spring" />
      <a class="button bare" href="/api/class/cards" target="_blank" rel="noopener">{app.t("teacher.cards")}</a>
      <a class="button bare" href="/api/class/export?format=csv" download={`${one.name}.csv`}>{app.t("teacher.export", { format: "CSV" })}</a>
      <a class="button bare" href="/api/class/export?format=json" download={`${one.name}.json`}>{app.t("teacher.export", { format: "JSON" })}</a>
    </div>
  );
}
