// Which terminal stands in which half. Pure.

export interface Layout {
  panes: (string | null)[]; // one, or two when split; ids of terminals
  active: number; // the half that the next terminal goes to
}

export const oneEmpty: Layout = { panes: [null], active: 0 };

export const activeTerminal = (layout: Layout): string | null => layout.panes[layout.active] ?? null;

// Into the active half; a terminal that is seen already is gone to instead, as it can be drawn in one place only.
export function show(layout: Layout, id: string): Layout {
  const seen = layout.panes.indexOf(id);
  if (seen >= 0) return { ...layout, active: seen };
  return { ...layout, panes: layout.panes.map((pane, i) => (i === layout.active ? id : pane)) };
}

export function activate(layout: Layout, pane: number): Layout {
  return pane >= 0 && pane < layout.panes.length ? { ...layout, active: pane } : layout;
}

export function toggleSplit(layout: Layout, ids: string[]): Layout {
  if (layout.panes.length > 1) return { panes: [activeTerminal(layout)], active: 0 };
  const other = ids.find((id) => id !== layout.panes[0]) ?? null;
  return { panes: [layout.panes[0] ?? null, other], active: other === null ? 1 : 0 };
}

// Terminals that are gone leave their half; a sole empty half takes the first there is.
export function settle(layout: Layout, ids: string[]): Layout {
  let panes = layout.panes.map((id) => (id !== null && ids.includes(id) ? id : null));
  const first = ids[0];
  if (panes.every((id) => id === null) && first !== undefined) panes = panes.map((_, i) => (i === layout.active ? first : null));
  const same = panes.every((id, i) => id === layout.panes[i]);
  return same ? layout : { ...layout, panes };
}

// The neighbour of the active terminal among all, round and round.
export function neighbour(layout: Layout, ids: string[], step: 1 | -1): string | null {
  if (ids.length === 0) return null;
  const at = ids.indexOf(activeTerminal(layout) ?? "");
  return ids[(at + step + ids.length) % ids.length] ?? null;
}

export function restore(text: string | null): Layout {
  try {
    const kept = JSON.parse(text ?? "") as Partial<Layout>;
    const panes = kept.panes;
    if (!Array.isArray(panes) || panes.length < 1 || panes.length > 2) return oneEmpty;
    if (!panes.every((id) => id === null || typeof id === "string")) return oneEmpty;
    return { panes, active: kept.active === 1 && panes.length === 2 ? 1 : 0 };
  } catch {
    return oneEmpty;
  }
}
