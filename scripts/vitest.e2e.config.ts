import { mergeConfig, type ViteUserConfig } from "vitest/config";
import base from "./vitest.config.ts";

/** Tests that drive `dist/chatrandom` itself, with real browsers: one after the other, they need the whole machine. */
const config: ViteUserConfig = mergeConfig(base, {
  test: {
    fileParallelism: false,
    maxWorkers: 1,
    testTimeout: 90_000,
    hookTimeout: 60_000,
  },
});
config.test!.include = ["ui/e2e/**/*.test.ts", "src/**/*.e2e.test.ts"];
config.test!.exclude = [];
export default config;
