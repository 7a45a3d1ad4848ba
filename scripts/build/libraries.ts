import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";
import { build, type Plugin } from "esbuild";
import { libraryAsset } from "../../src/embedded/library.ts";
import { leftOut } from "./left-out.ts";
import { assets, locked, root, type Step } from "./step.ts";

/** Libraries that few runs need. Within the server's bundle they would add 60 ms to every start. */
const ON_DEMAND = ["acme-client", "@peculiar/x509"];

/** One library as a file of its own, with all that it needs. */
export const libraries: Step[] = ON_DEMAND.map((name) => {
  const output = join(assets, libraryAsset(name));
  return {
    name: libraryAsset(name).replaceAll("/", "-"),
    key: locked(),
    outputs: [output],
    async make() {
      mkdirSync(dirname(output), { recursive: true });
      writeFileSync(output, compressed(await bundleLibrary(name)));
      return ["scripts/build/libraries.ts", "scripts/build/left-out.ts", "src/embedded/library.ts"];
    },
  };
});

/** The library with all that it needs, as CommonJS. */
export async function bundleLibrary(name: string): Promise<Uint8Array> {
  const { outputFiles } = await build({
    stdin: { contents: `module.exports = require(${JSON.stringify(name)});`, resolveDir: root },
    write: false,
    bundle: true,
    platform: "node",
    format: "cjs",
    target: "node26",
    minify: true,
    // They are in messages and stack traces.
    keepNames: true,
    legalComments: "none",
    plugins: [leftOut],
    logLevel: "warning",
  });
  return outputFiles[0]!.contents;
}

const compressed = (content: Uint8Array): Uint8Array =>
  brotliCompressSync(content, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
      [constants.BROTLI_PARAM_SIZE_HINT]: content.length,
    },
  });

/** In the server's bundle `import()` of such a library loads its file. */
export const loadedOnDemand: Plugin = {
  name: "loaded-on-demand",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^[@a-z]/ }, ({ path, kind }) =>
      kind === "dynamic-import" && ON_DEMAND.includes(path) ? { path, namespace: "on-demand" } : undefined,
    );
    onLoad({ filter: /.*/, namespace: "on-demand" }, ({ path }) => ({
      contents: `module.exports = require("./src/embedded/library.ts").library(${JSON.stringify(path)});`,
      loader: "js",
      resolveDir: root,
    }));
  },
};
