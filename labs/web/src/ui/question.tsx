// What cannot be taken back is asked first. The answer that keeps everything has the focus.
import { useEffect, useRef } from "preact/hooks";

import { Dialog } from "./controls";
import { useApp, useView } from "./context";

export function QuestionDialog() {
  const app = useApp();
  const { question } = useView();
  const keep = useRef<HTMLButtonElement>(null);
  useEffect(() => keep.current?.focus(), [question]);
  if (!question) return null;
  return (
    <Dialog title={question.title} onClose={() => app.answer(false)}>
      <p>{question.text}</p>
      <div class="dialog-buttons">
        <button type="button" class="button plain" ref={keep} onClick={() => app.answer(false)}>{app.t("cancel")}</button>
        <button type="button" class={`button ${question.danger ? "danger" : "main"}`} onClick={() => app.answer(true)}>{question.yes}</button>
      </div>
    </Dialog>
  );
}
