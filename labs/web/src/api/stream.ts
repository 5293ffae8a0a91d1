// What a terminal's stream means (docs/classroom-api.md), apart from sockets and from drawing: which byte comes next,
// what belongs to the past, when to acknowledge.

export interface StreamState {
  next: number; // of all bytes that the terminal ever wrote, the first that has not come yet
  pastEnd: number; // bytes before this one were written before we connected
  exited: number | null;
  cols: number; // 0: not told yet
  rows: number;
  started: boolean; // the server's first word has come, ever
}

export const emptyStream: StreamState = { next: 0, pastEnd: 0, exited: null, cols: 0, rows: 0, started: false };

export type StreamEffect =
  | { do: "clear" } // what is drawn belongs to another life of this terminal
  | { do: "gap"; bytes: number } // that many bytes are no longer kept
  | { do: "size"; cols: number; rows: number }
  | { do: "exit"; code: number };

type ServerWord =
  | { type: "start"; offset: number; end: number; cols: number; rows: number }
  | { type: "exit"; code: number }
  | { type: "size"; cols: number; rows: number };

const count = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function parse(text: string): ServerWord | null {
  let word: Record<string, unknown>;
  try {
    word = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return null;
  }
  if (typeof word !== "object" || word === null) return null;
  const { type, offset, end, cols, rows, code } = word;
  if (type === "start" && count(offset) && count(end))
    return { type, offset, end, cols: count(cols) ? cols : 0, rows: count(rows) ? rows : 0 };
  if (type === "size" && count(cols) && count(rows)) return { type, cols, rows };
  if (type === "exit" && typeof code === "number") return { type, code };
  return null;
}

function started(state: StreamState, word: { offset: number; end: number; cols: number; rows: number }) {
  const effects: StreamEffect[] = [];
  if (word.offset < state.next) effects.push({ do: "clear" });
  else if (state.started && word.offset > state.next) effects.push({ do: "gap", bytes: word.offset - state.next });
  if (word.cols > 0 && word.rows > 0) effects.push({ do: "size", cols: word.cols, rows: word.rows });
  const next: StreamState = {
    ...state,
    next: word.offset,
    pastEnd: word.end,
    cols: word.cols || state.cols,
    rows: word.rows || state.rows,
    started: true,
  };
  return { state: next, effects };
}

// A text frame. One that is not understood changes nothing: newer servers may say more.
export function hearText(state: StreamState, text: string): { state: StreamState; effects: StreamEffect[] } {
  const word = parse(text);
  if (!word) return { state, effects: [] };
  switch (word.type) {
    case "start":
      return started(state, word);
    case "size":
      return { state: { ...state, cols: word.cols, rows: word.rows }, effects: [{ do: "size", cols: word.cols, rows: word.rows }] };
    case "exit":
      return { state: { ...state, exited: word.code }, effects: [{ do: "exit", code: word.code }] };
  }
}

export function hearBytes(state: StreamState, length: number): StreamState {
  return { ...state, next: state.next + length };
}

// Acknowledgements: often enough that the server never waits for us while we draw, not for every small frame.
const ACK_EVERY = 32 * 1024;

export class Acks {
  private told = 0;
  constructor(private readonly tell: (offset: number) => void) {}

  begin(offset: number): void {
    this.told = offset;
  }

  drawn(offset: number, nothingWaits: boolean): void {
    if (offset <= this.told) return;
    if (offset - this.told < ACK_EVERY && !nothingWaits) return;
    this.told = offset;
    this.tell(offset);
  }
}
