// The terminals' colours: of the page's two appearances. xterm raises the contrast of what programs choose besides.
import type { ITheme } from "@xterm/xterm";

const light: ITheme = {
  background: "#fbfbfd", foreground: "#25282e", cursor: "#3b5bdb", cursorAccent: "#fbfbfd",
  selectionBackground: "#c9d4fb", selectionInactiveBackground: "#dfe4f1",
  black: "#25282e", red: "#c02c36", green: "#267a3c", yellow: "#8a5c00", blue: "#2f53c9", magenta: "#9233ad",
  cyan: "#0f7285", white: "#686e79", brightBlack: "#5b616c", brightRed: "#a51d28", brightGreen: "#1a6530",
  brightYellow: "#714b00", brightBlue: "#2243b0", brightMagenta: "#7b2494", brightCyan: "#095d6e", brightWhite: "#3c4149",
};

const dark: ITheme = {
  background: "#14161b", foreground: "#dfe2e8", cursor: "#91a7ff", cursorAccent: "#14161b",
  selectionBackground: "#37437a", selectionInactiveBackground: "#2a3040",
  black: "#3a3f4a", red: "#ff8589", green: "#7ccf8d", yellow: "#e3bf6b", blue: "#8fa8ff", magenta: "#d89cf0",
  cyan: "#6fcbdc", white: "#c6cad2", brightBlack: "#868d9b", brightRed: "#ffa3a6", brightGreen: "#9be0a9",
  brightYellow: "#f0d28b", brightBlue: "#adc0ff", brightMagenta: "#e6b8f8", brightCyan: "#93dcea", brightWhite: "#f3f5f8",
};

export const terminalTheme = (isDark: boolean): ITheme => (isDark ? dark : light);
