import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/** Lua scripts are imported as text, as esbuild's `text` loader does it in the executable. */
const luaAsText = {
  name: "lua-as-text",
  enforce: "pre" as const,
  transform(code: string, id: string) {
    return id.endsWith(".lua") ? `export default ${JSON.stringify(code)};` : undefined;
  },
};

export default defineConfig({
  root: fileURLToPath(new URL("..", import.meta.url)),
  plugins: [luaAsText],
  test: {
    include: ["src/**/*.test.ts", "scripts/**/*.test.ts", "ui/**/*.test.ts"],
    exclude: ["ui/e2e/**", "**/*.e2e.test.ts", "node_modules/**"],
    setupFiles: ["scripts/vitest.setup.ts"],
    pool: "forks",
    maxWorkers: 2,
    // Bounds for a busy machine; no test takes nearly as long on a quiet one.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Real sockets, processes and browsers: CI may try once more, and says so; by hand the first failure counts. Random
    // tests play the same again (vitest.setup.ts), so that theirs cannot be passed over.
    retry: process.env.CI ? 1 : 0,
  },
});
