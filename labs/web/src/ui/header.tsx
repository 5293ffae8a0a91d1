// The line above everything: where one is, how long it lasts, whether the server is heard.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";

import type { Theme } from "../app";
import type { Me } from "../api/types";
import { languages } from "../i18n";
import { clock, secondsUntil, timeOfDay } from "../text/format";
import { Button, Dialog, Select } from "./controls";
import { useApp, useNow, useView } from "./context";
import { ClockIcon, GearIcon } from "./icons";
import { Mark } from "./page";

export function Header({ me }: { me: Me }) {
  const app = useApp();
  const view = useView();
  const [settings, setSettings] = useState(false);
  const state = view.known.students[me.student];
  const ends = me.role === "teacher" ? (view.known.class?.ends ?? me.ends) : (state?.ends ?? me.ends);
  return (
    <header class="header">
      <div class="brand">
        <Mark />
        <span class="brand-class">{me.class}</span>
        {me.role === "student" && <span class="brand-name">{me.title || me.student}</span>}
      </div>
      <div class="header-state">
        <Connection />
        {ends && <SessionClock ends={ends} />}
      </div>
      <Button look="bare" label={app.t("settings")} onClick={() => setSettings(true)}><GearIcon /></Button>
      {settings && <Settings onClose={() => setSettings(false)} />}
    </header>
  );
}

function Connection() {
  const app = useApp();
  const { phase } = useView();
  const now = useNow();
  const words =
    phase.is === "waiting"
      ? app.t("connection.waiting", { seconds: Math.max(0, Math.ceil((phase.until - now) / 1000)) })
      : app.t(`connection.${phase.is}`);
  return (
    <div class={`connection ${phase.is}`}>
      <span class="dot" aria-hidden="true" />
      <span>{words}</span>
      {phase.is === "waiting" && <Button look="bare" onClick={() => app.retry()}>{app.t("connection.now")}</Button>}
      {/* The seconds tick; what is read out changes with the state alone. */}
      <span class="off-screen" role="status">{phase.is === "open" ? app.t("connection.open") : app.t("connection.connecting")}</span>
    </div>
  );
}

function SessionClock({ ends }: { ends: string }) {
  const app = useApp();
  const left = secondsUntil(ends, useNow());
  if (left === null) return null;
  const at = app.t("clock.ends", { time: timeOfDay(ends, app.words.language) });
  return (
    <div class={left < 300 ? "clock soon" : "clock"} role="timer" aria-label={app.t("clock.label")} title={at}>
      <ClockIcon />
      <span>{left <= 0 ? app.t("clock.over") : app.t("clock.left", { time: clock(left) })}</span>
    </div>
  );
}

function Settings({ onClose }: { onClose: () => void }) {
  const app = useApp();
  const view = useView();
  const sizes = [12, 13, 14, 16, 18, 20].map((n) => ({ value: String(n), name: `${n} px` }));
  return (
    <Dialog title={app.t("settings")} onClose={onClose}>
      <div class="settings">
        <Select label={app.t("language")} value={view.language} onChoose={(l) => app.speak(l)}
          choices={languages.map((l) => ({ value: l.code, name: l.name }))} />
        <Select<Theme> label={app.t("theme")} value={view.theme} onChoose={(theme) => app.choose({ theme })}
          choices={(["auto", "light", "dark"] as const).map((value) => ({ value, name: app.t(`theme.${value}`) }))} />
        <Select label={app.t("settings.font")} value={String(view.fontSize)} choices={sizes}
          onChoose={(size) => app.choose({ fontSize: Number(size) })} />
        <label class="tick">
          <input type="checkbox" checked={view.reader} aria-describedby="reader-how"
            onChange={(e) => app.choose({ reader: e.currentTarget.checked })} />
          <span>{app.t("settings.reader")}<small id="reader-how">{app.t("settings.reader.how")}</small></span>
        </label>
        <h3>{app.t("settings.keys")}</h3>
        <dl class="keys">
          <Keys does={app.t("keys.leave")}><Combination keys={["Ctrl", "Shift", "↑"]} /></Keys>
          <Keys does={app.t("keys.enter")}><Combination keys={["↓"]} /></Keys>
          <Keys does={app.t("keys.switch")}><Combination keys={["Ctrl", "Shift", "←"]} /> <Combination keys={["→"]} /></Keys>
          <Keys does={app.t("keys.tabs")}><Combination keys={["←"]} /> <Combination keys={["→"]} /></Keys>
          <Keys does={app.t("keys.copy")}><Combination keys={["Ctrl", "Shift", "C"]} /></Keys>
          <Keys does={app.t("keys.paste")}><Combination keys={["Ctrl", "V"]} /></Keys>
        </dl>
      </div>
      <div class="dialog-buttons">
        <a class="licenses" href="/licenses.txt" target="_blank" rel="noopener">{app.t("settings.licenses")}</a>
        <Button look="main" onClick={onClose}>{app.t("close")}</Button>
      </div>
    </Dialog>
  );
}

function Keys({ does, children }: { does: string; children: ComponentChildren }) {
  return <div><dt>{children}</dt><dd>{does}</dd></div>;
}

function Combination({ keys }: { keys: string[] }) {
  return <span class="combination">{keys.map((k) => <kbd key={k}>{k}</kbd>)}</span>;
}
