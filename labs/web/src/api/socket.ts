// A WebSocket that comes back: after a loss it waits, longer each time, and asks its owner where to go on.
// One owner, one thread. After close() nothing is called any more.

export type Phase = { is: "connecting" } | { is: "open" } | { is: "waiting"; until: number };

export interface SocketOwner {
  url(): string; // asked before every attempt
  opened(): void;
  message(data: string | ArrayBuffer): void;
  phase(phase: Phase): void;
  mayReturn(): boolean; // false: this was the last connection
}

const FIRST = 300; // milliseconds
const LONGEST = 15_000;

// How long to wait before the attempt of that number (0: the first after a loss); spread, so that thirty pages that lost
// the same server do not return in one moment.
export function backOff(attempt: number, random: () => number = Math.random): number {
  const full = Math.min(LONGEST, FIRST * 2 ** attempt);
  return Math.round(full * (0.5 + random() / 2));
}

export class Socket {
  private socket: WebSocket | null = null;
  private timer: number | undefined;
  private attempt = 0;
  private closed = false;

  constructor(private readonly owner: SocketOwner) {
    window.addEventListener("online", this.now);
    this.connect();
  }

  get isOpen(): boolean {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  send(data: string | Uint8Array): boolean {
    if (!this.isOpen || !this.socket) return false;
    this.socket.send(data);
    return true;
  }

  close(): void {
    this.closed = true;
    window.clearTimeout(this.timer);
    window.removeEventListener("online", this.now);
    this.socket?.close();
  }

  // Tries at once, when one waits.
  readonly now = (): void => {
    if (this.closed || this.socket) return;
    window.clearTimeout(this.timer);
    this.connect();
  };

  private connect(): void {
    this.owner.phase({ is: "connecting" });
    const socket = new WebSocket(this.owner.url());
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onopen = () => {
      if (this.closed) return;
      this.owner.phase({ is: "open" });
      this.owner.opened();
    };
    socket.onmessage = (e: MessageEvent<string | ArrayBuffer>) => {
      if (this.closed) return;
      this.attempt = 0; // a server that accepts and hangs up at once is not back yet
      this.owner.message(e.data);
    };
    socket.onclose = () => {
      this.socket = null;
      if (this.closed || !this.owner.mayReturn()) return;
      const wait = backOff(this.attempt++);
      this.owner.phase({ is: "waiting", until: Date.now() + wait });
      this.timer = window.setTimeout(() => this.connect(), wait);
    };
  }
}
