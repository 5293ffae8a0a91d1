// Between exercise and terminals: dragged, or moved by the arrow keys.
import { useEffect, useRef, useState } from "preact/hooks";

import { useApp } from "../ui/context";

const [LEAST, MOST, USUAL, STEP] = [280, 720, 400, 20];
const KEPT = "lab.exerciseWidth";

export function Separator() {
  const app = useApp();
  const [width, setWidth] = useState(Number(localStorage.getItem(KEPT)) || USUAL);
  const dragging = useRef(false);
  useEffect(() => {
    document.documentElement.style.setProperty("--exercise-width", `${width}px`);
    localStorage.setItem(KEPT, String(width));
  }, [width]);
  const move = (to: number): void => setWidth(Math.round(Math.min(MOST, Math.max(LEAST, to))));
  return (
    <div class="separator" role="separator" tabIndex={0} aria-orientation="vertical" aria-label={app.t("panel.wider")}
      aria-valuemin={LEAST} aria-valuemax={MOST} aria-valuenow={width}
      onKeyDown={(e) => {
        const by = { ArrowLeft: -STEP, ArrowRight: STEP }[e.key];
        if (by !== undefined) { e.preventDefault(); move(width + by); }
      }}
      onPointerDown={(e) => { dragging.current = true; e.currentTarget.setPointerCapture(e.pointerId); }}
      onPointerMove={(e) => dragging.current && move(e.clientX)}
      onPointerUp={() => (dragging.current = false)}
      onDblClick={() => move(USUAL)} />
  );
}
