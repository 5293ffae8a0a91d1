// Messages at the page's edge, and words for those who hear the page.
import { Button } from "./controls";
import { useApp, useView } from "./context";
import { CrossIcon } from "./icons";

export function Notices() {
  const app = useApp();
  const { notices } = useView();
  return (
    <div class="notices" role="region" aria-label={app.t("notice.from")} aria-live="polite">
      {notices.map((n) => (
        <div key={n.id} class={`notice ${n.kind}`} role={n.kind === "bad" ? "alert" : undefined}>
          <span>{n.text}</span>
          <Button look="bare" label={app.t("dismiss")} onClick={() => app.dismiss(n.id)}><CrossIcon /></Button>
        </div>
      ))}
    </div>
  );
}

export function Said() {
  return <div class="off-screen" role="status" aria-live="polite">{useView().said}</div>;
}
