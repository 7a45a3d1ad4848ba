import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { brotliDecompressSync } from "node:zlib";
import { expect, test } from "vitest";
import type { LoadedPageFile } from "../embedded/page-files.ts";
import { namedPage } from "./named-page.ts";

const file = (path: string, name: string, type: string): LoadedPageFile => {
  const content = new Uint8Array(readFileSync(new URL(`../../ui/${name}`, import.meta.url)));
  const hash = createHash("sha256").update(content).digest("base64url").slice(0, 22);
  return { path, type, hash, bytes: content.byteLength, immutable: false, asset: name, content };
};
const document = file("/", "index.html", "text/html; charset=utf-8");
const manifest = file("/manifest.webmanifest", "manifest.webmanifest", "application/manifest+json");
const code = file("/assets/main.js", "main.tsx", "text/javascript; charset=utf-8");
const built = [document, manifest, code];

const NAME = `Tea & <b>"Biscuits"</b> $& \\ o'clock`;
const [named, installed, same] = namedPage(built, NAME) as [LoadedPageFile, LoadedPageFile, LoadedPageFile];
const text = ({ content }: LoadedPageFile) => Buffer.from(content).toString();

test("the document is titled by the place's name, which is text and nothing else in it", () => {
  const html = "Tea &amp; &lt;b&gt;&quot;Biscuits&quot;&lt;/b&gt; $&amp; \\ o&#39;clock";
  expect(text(named)).toContain(`<title>${html}</title>`);
  expect(text(named)).toContain(`<meta property="og:title" content="${html}" />`);
  expect(text(named)).not.toContain("ChatRandom");
});

test("the page is installed under that name", () => {
  expect(JSON.parse(text(installed))).toMatchObject({ name: NAME, short_name: NAME, start_url: "./" });
});

test("what has another content has another tag, another length, and is compressed anew", () => {
  for (const [before, after] of [
    [document, named],
    [manifest, installed],
  ] as const) {
    expect(after.hash).not.toBe(before.hash);
    expect(after.hash).toHaveLength(before.hash.length);
    expect(after.bytes).toBe(after.content.byteLength);
    expect(String(brotliDecompressSync(after.compressed!))).toBe(text(after));
    expect(after).toMatchObject({ path: before.path, type: before.type, immutable: false });
  }
  expect(namedPage(built, "Attic")[0]!.hash).not.toBe(named.hash);
});

test("the rest of the page, and all of it without a name of its own, is as it was built", () => {
  expect(same).toBe(code);
  for (const name of ["", "ChatRandom"]) expect(namedPage(built, name)).toBe(built);
});
