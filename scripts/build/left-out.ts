import type { Plugin } from "esbuild";

/** Modules that others try for and do without; inside the executable a failing `require` would print a warning. */
export const leftOut: Plugin = {
  name: "left-out",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(supports-color|bufferutil|utf-8-validate)$/ }, ({ path }) => ({
      path,
      namespace: "left-out",
    }));
    onLoad({ filter: /.*/, namespace: "left-out" }, ({ path }) => ({
      contents: `throw new Error("${path} is not part of this program");`,
      loader: "js",
    }));
  },
};
