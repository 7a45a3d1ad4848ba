/** The page with the name of the place in it, for who reads it without running it: tabs, link previews, installers. */
import { createHash } from "node:crypto";
import { brotliCompressSync } from "node:zlib";
import type { LoadedPageFile } from "../embedded/page-files.ts";
import { escaped } from "./html.ts";

/** What the built page calls the place, wherever it names it. */
const BUILT_NAME = "ChatRandom";

const inJson = (text: string): string => JSON.stringify(text).slice(1, -1);

/** Made once, at the start. Without a name, and with the one that it was built with, it is the built page. */
export function namedPage(files: LoadedPageFile[], name: string): LoadedPageFile[] {
  if (name === "" || name === BUILT_NAME) return files;
  return files.map((file) => {
    if (file.type.startsWith("text/html")) return renamed(file, escaped(name));
    if (file.type === "application/manifest+json") return renamed(file, inJson(name));
    return file;
  });
}

function renamed(file: LoadedPageFile, name: string): LoadedPageFile {
  // By a function: in a string `$&` would mean something.
  const text = Buffer.from(file.content)
    .toString()
    .replaceAll(BUILT_NAME, () => name);
  const content = new Uint8Array(Buffer.from(text));
  return {
    ...file,
    content,
    compressed: new Uint8Array(brotliCompressSync(content)),
    hash: createHash("sha256").update(content).digest("base64url").slice(0, file.hash.length),
    bytes: content.byteLength,
  };
}
