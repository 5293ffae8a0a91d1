// The page's few controls. Native elements wherever there is one: they bring keyboard and names along.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";

type ButtonProps = Omit<JSX.HTMLAttributes<HTMLButtonElement>, "icon"> & {
  type?: "button" | "submit";
  look?: "plain" | "main" | "danger" | "bare";
  label?: string; // when the children are a picture alone
  disabled?: boolean;
  children: ComponentChildren;
};

export function Button({ look = "plain", label, children, ...rest }: ButtonProps) {
  return (
    <button type="button" {...rest} class={`button ${look} ${rest.class ?? ""}`} {...(label ? { "aria-label": label, title: label } : {})}>
      {children}
    </button>
  );
}

export interface Choice<T extends string> {
  value: T;
  name: string;
}

interface SelectProps<T extends string> {
  label: string;
  value: T;
  choices: Choice<T>[];
  onChoose: (value: T) => void;
}

export function Select<T extends string>({ label, value, choices, onChoose }: SelectProps<T>) {
  const id = useId();
  return (
    <span class="field">
      <label for={id}>{label}</label>
      <select id={id} value={value} onChange={(e) => onChoose(e.currentTarget.value as T)}>
        {choices.map((c) => (
          <option key={c.value} value={c.value}>{c.name}</option>
        ))}
      </select>
    </span>
  );
}

// A button with a list of actions below it. Arrows move, Escape closes and goes back to the button.
export function Menu({ label, picture, items }: { label: string; picture: ComponentChildren; items: { name: string; act: () => void }[] }) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const id = useId();
  const entries = (): HTMLButtonElement[] => [...(root.current?.querySelectorAll<HTMLButtonElement>("[role=menuitem]") ?? [])];

  useEffect(() => {
    if (!open) return;
    entries()[0]?.focus();
    const outside = (e: PointerEvent): void => {
      if (!root.current?.contains(e.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [open]);

  const close = (): void => {
    setOpen(false);
    root.current?.querySelector<HTMLButtonElement>("[aria-haspopup]")?.focus();
  };
  const keys = (e: KeyboardEvent): void => {
    const list = entries();
    const at = list.indexOf(document.activeElement as HTMLButtonElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: list.length - 1 }[e.key];
    if (e.key === "Escape") close();
    else if (e.key === "Tab") setOpen(false);
    else if (to !== undefined) list[(to + list.length) % list.length]?.focus();
    if (e.key === "Escape" || to !== undefined) e.preventDefault();
  };

  return (
    <div class="menu" ref={root}>
      <Button look="bare" label={label} aria-haspopup="menu" aria-expanded={open} aria-controls={id} onClick={() => setOpen(!open)}>
        {picture}
      </Button>
      {open && (
        <div class="menu-list" role="menu" id={id} aria-label={label} onKeyDown={keys}>
          {items.map((item) => (
            <button type="button" role="menuitem" tabIndex={-1} key={item.name} onClick={() => { close(); item.act(); }}>
              {item.name}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}

// A window above the page; the browser keeps the focus inside of it and gives it back.
export function Dialog({ title, onClose, children, wide }: { title: string; onClose: () => void; children: ComponentChildren; wide?: boolean }) {
  const box = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = box.current;
    if (!dialog) return;
    const before = document.activeElement;
    dialog.showModal();
    return () => {
      if (dialog.open) dialog.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog ref={box} class={wide ? "dialog wide" : "dialog"} aria-labelledby={id} onCancel={(e) => { e.preventDefault(); onClose(); }}>
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}

// How much of something is used. The number stands beside it in words.
export function Meter({ value, limit, label }: { value: number; limit: number; label: string }) {
  const share = limit > 0 ? Math.min(1, value / limit) : 0;
  return (
    <span class={share > 0.9 ? "meter full" : "meter"} role="img" aria-label={label}>
      <span class="meter-fill" style={{ width: `${(share * 100).toFixed(1)}%` }} />
    </span>
  );
}
