// The controller, for every element of the page.
import { createContext } from "preact";
import { useContext, useEffect, useState } from "preact/hooks";

import type { App, View } from "../app";
import { useStore } from "../state";

export const AppContext = createContext<App | null>(null);

export function useApp(): App {
  const app = useContext(AppContext);
  if (!app) throw new Error("an element stands outside of the page");
  return app;
}

export function useView(): View {
  return useStore(useApp().view);
}

// The time, once a second.
export function useNow(): number {
  const [now, tick] = useState(Date.now());
  useEffect(() => {
    const timer = window.setInterval(() => tick(Date.now()), 1000);
    return () => window.clearInterval(timer);
  }, []);
  return now;
}
