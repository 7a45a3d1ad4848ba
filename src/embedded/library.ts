import { compileFunction } from "node:vm";
import { brotliDecompressSync } from "node:zlib";
import { asset } from "./assets.ts";

/**
 * A library that few runs need. The build keeps it as a file of its own and puts a call of this in place of its
 * `import()`, because V8 reads all of a program at every start, whether it is used or not.
 */
export function library(name: string): unknown {
  const module = { exports: {} };
  const code = new TextDecoder().decode(brotliDecompressSync(asset(libraryAsset(name))));
  // It brings along all it needs but what Node has.
  const run = compileFunction(code, ["module", "exports", "require"], { filename: `${name}.cjs` });
  run(module, module.exports, (id: string) => process.getBuiltinModule(id));
  return module.exports;
}

/** The name of the file that holds it. */
export const libraryAsset = (name: string): string =>
  `libraries/${name.replace("@", "").replaceAll("/", "-")}.cjs.br`;
