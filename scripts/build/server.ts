import { join } from "node:path";
import { build, type Metafile, type Plugin } from "esbuild";
import { leftOut } from "./left-out.ts";
import { loadedOnDemand } from "./libraries.ts";
import { locked, root, type Step } from "./step.ts";

export const bundleFile = join(root, "dist/server/chatrandom.cjs");

/** zeromq looks for its addon on disk; ours comes out of the executable. */
const ownAddonLoader: Plugin = {
  name: "own-addon-loader",
  setup({ onResolve }) {
    onResolve({ filter: /^\.\/load-addon$/ }, ({ resolveDir }) =>
      resolveDir.endsWith("/zeromq/lib") ? { path: join(root, "src/links/zeromq-addon.ts") } : undefined,
    );
  },
};

/** @throws Error when zeromq is in the bundle with its own loader, which finds nothing inside the executable. */
export function checkAddonLoader({ inputs }: Pick<Metafile, "inputs">): void {
  const files = Object.entries(inputs);
  const imports = files.find(([file]) => file.endsWith("zeromq/lib/native.js"))?.[1].imports;
  if (imports && !imports.some(({ path }) => path.endsWith("src/links/zeromq-addon.ts"))) {
    throw new Error("zeromq's loader was not replaced: its lib/native.js no longer requires ./load-addon");
  }
}

/**
 * Bundles the server into one CommonJS file: an ES module as the main of the executable would start 25 ms later.
 * `out` is the file; `entry` the source it starts with.
 */
export async function bundleServer(entry: string, out: string): Promise<Metafile> {
  const { metafile } = await build({
    entryPoints: [entry],
    outfile: out,
    absWorkingDir: root,
    bundle: true,
    metafile: true,
    platform: "node",
    format: "cjs",
    target: "node26",
    // Names are kept: they are in stack traces.
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: "none",
    loader: { ".lua": "text" },
    // A CommonJS file has no import.meta.
    define: { "import.meta.url": "__importMetaUrl", "import.meta.main": "false" },
    banner: { js: 'const __importMetaUrl = require("node:url").pathToFileURL(__filename).href;' },
    plugins: [leftOut, ownAddonLoader, loadedOnDemand],
    logLevel: "warning",
  });
  checkAddonLoader(metafile);
  return metafile;
}

export const server: Step = {
  name: "server",
  key: locked(),
  outputs: [bundleFile],
  async make() {
    const { inputs } = await bundleServer(join(root, "src/main.ts"), bundleFile);
    const files = Object.keys(inputs).filter((file) => !/^(left-out|on-demand):/.test(file));
    const recipes = ["server", "left-out", "libraries"];
    return [...files, ...recipes.map((name) => `scripts/build/${name}.ts`)];
  },
};
