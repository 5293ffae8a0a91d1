// A value that the page is a picture of. Listeners are called after each change, once per turn of the event loop.
import { useEffect, useState } from "preact/hooks";

export class Store<T extends object> {
  private listeners = new Set<() => void>();
  private planned = false;

  constructor(private value: T) {}

  get(): T {
    return this.value;
  }

  set(change: Partial<T>): void {
    this.value = { ...this.value, ...change };
    if (this.planned) return;
    this.planned = true;
    queueMicrotask(() => {
      this.planned = false;
      for (const listener of [...this.listeners]) listener();
    });
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

export function useStore<T extends object>(store: Store<T>): T {
  const [value, show] = useState(store.get());
  useEffect(() => {
    const update = (): void => show(store.get());
    update();
    return store.subscribe(update);
  }, [store]);
  return value;
}
