import { defineConfig } from "vite";

// `npm run dev` shows the page as it is being written, on a classroom that runs: LAB_PLAY=http://127.0.0.1:PORT.
const server = process.env["LAB_PLAY"] ?? "http://127.0.0.1:8080";
const passed = { target: server, changeOrigin: true, ws: true, headers: { Origin: server } };

export default defineConfig({
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: {
    target: "es2021",
    outDir: process.env["LAB_WEB_OUT"] ?? "dist",
    emptyOutDir: true,
    assetsInlineLimit: 0, // the page's Content-Security-Policy admits files of the server alone, no data: links
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 900,
  },
  server: { proxy: { "/api": passed, "/s/": passed, "/t/": passed } },
});
