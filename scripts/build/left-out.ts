import type { Plugin } from "esbuild";

/** Modules that others try for and do without; inside the executable a failing `require` would print a warning. */
const TRIED_FOR = ["supports-color", "bufferutil", "utf-8-validate"];
/** What Express offers for the bodies of requests. Nothing here has one, and it is a tenth of the start. */
const UNUSED = ["body-parser"];

export const leftOut: Plugin = {
  name: "left-out",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: new RegExp(`^(${[...TRIED_FOR, ...UNUSED].join("|")})$`) }, ({ path }) => ({
      path,
      namespace: "left-out",
    }));
    onLoad({ filter: /.*/, namespace: "left-out" }, ({ path }) => ({
      contents: UNUSED.includes(path) ? "" : `throw new Error("${path} is not part of this program");`,
      loader: "js",
    }));
  },
};
