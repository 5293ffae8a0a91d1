import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig, type Plugin } from "vite";

// `npm run dev` shows the page as it is being written, on a classroom that runs: LAB_PLAY=http://127.0.0.1:PORT.
const server = process.env["LAB_PLAY"] ?? "http://127.0.0.1:8080";
const passed = { target: server, changeOrigin: true, ws: true, headers: { Origin: server } };

// The page holds other people's libraries: their licenses go with it, as licenses.txt.
function licenses(): Plugin {
  return {
    name: "licenses",
    generateBundle() {
      const folders = new Set<string>();
      for (const id of this.getModuleIds()) {
        const found = /^\0?(.*\/node_modules\/((?:@[^/]+\/)?[^/]+))\//.exec(id);
        if (found?.[1] && existsSync(join(found[1], "package.json"))) folders.add(found[1]);
      }
      const texts = [...folders].sort().map((folder) => {
        const { name, version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { name: string; version: string };
        const file = readdirSync(folder).find((f) => /^licen[cs]e/i.test(f));
        if (!file) throw new Error(`${name} comes without a license`);
        return `${name} ${version}\n\n${readFileSync(join(folder, file), "utf8").trim()}\n`;
      });
      this.emitFile({ type: "asset", fileName: "licenses.txt", source: texts.join(`\n${"-".repeat(80)}\n\n`) });
    },
  };
}

export default defineConfig({
  plugins: [licenses()],
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
