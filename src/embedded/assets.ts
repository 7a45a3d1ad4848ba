import { readdirSync, readFileSync } from "node:fs";
import { getAssetKeys, getRawAsset, isSea } from "node:sea";
import { fileURLToPath } from "node:url";

/**
 * The files that the executable carries: the page, the native programs, zeromq's addon, licences. Names are those of
 * the files under dist/assets/, with `/` between folders.
 *
 * Inside the executable a file is the memory it was mapped to: nothing is copied, and nothing counts against the heap.
 * When the server runs from the sources or from its bundle, the same names are read from dist/assets/.
 */

const folder = fileURLToPath(new URL("../../dist/assets/", import.meta.url));

/**
 * The content of a file.
 * Hazard: inside the executable it is read-only memory. Writing to it ends the process.
 * @throws Error when there is no such file (a build that was not finished).
 */
export function asset(name: string): Uint8Array<ArrayBuffer> {
  return isSea() ? new Uint8Array(getRawAsset(name) as ArrayBuffer) : readFileSync(folder + name);
}

/** The content of a small file, as text. */
export const assetText = (name: string): string => new TextDecoder().decode(asset(name));

/** The names of all files whose name begins with `prefix`. */
export function assetNames(prefix: string): string[] {
  const names = isSea() ? getAssetKeys() : readdirSync(folder, { recursive: true, encoding: "utf8" });
  return names.filter((name) => name.startsWith(prefix)).sort();
}
