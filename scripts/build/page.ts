import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, extname, join } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";
import { build, type Plugin } from "esbuild";
import type { PageFile } from "../../src/embedded/page-files.ts";
import { assets, locked, root, type Step } from "./step.ts";

const ui = join(root, "ui");
const output = join(assets, "page");

const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".webp": "image/webp",
  ".ico": "image/x-icon",
  ".woff2": "font/woff2",
  ".mp3": "audio/mpeg",
  ".webmanifest": "application/manifest+json",
};

/** Compressed already: brotli would only add to them. */
const PACKED = new Set([".png", ".webp", ".woff2", ".mp3"]);

/** Files that the code or the style names (`import icon from "./icon.svg"`, `url(…)`) are copied beside them. */
const copied = Object.fromEntries(
  [".svg", ".png", ".webp", ".woff2", ".mp3"].map((extension) => [extension, "file" as const]),
);

/** Resolves `app.css` to what Tailwind makes of it. */
const tailwind: Plugin = {
  name: "tailwind",
  setup({ onLoad }) {
    onLoad({ filter: /ui\/app\.css$/ }, ({ path }) => ({
      contents: execFileSync(
        process.execPath,
        [join(root, "node_modules/@tailwindcss/cli/dist/index.mjs"), "--input", path],
        { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], maxBuffer: 64 << 20 },
      ),
      loader: "css",
      resolveDir: ui,
    }));
  },
};

interface Source {
  path: string;
  content: Uint8Array;
}

/** `favicon.svg` → `assets/favicon-4FQ7ZK2A.svg` */
function hashedName(name: string, content: Uint8Array): string {
  const hash = createHash("sha256").update(content).digest("hex").slice(0, 8).toUpperCase();
  return `assets/${basename(name, extname(name))}-${hash}${extname(name)}`;
}

async function bundle(): Promise<{ files: Source[]; entries: Record<string, string>; inputs: string[] }> {
  const { outputFiles, metafile } = await build({
    entryPoints: [join(ui, "main.tsx"), join(ui, "app.css")],
    absWorkingDir: root,
    outdir: "/",
    write: false,
    metafile: true,
    bundle: true,
    splitting: true,
    format: "esm",
    target: "es2022",
    minify: true,
    jsx: "automatic",
    jsxImportSource: "preact",
    define: { "process.env.NODE_ENV": '"production"' },
    legalComments: "none",
    loader: copied,
    entryNames: "assets/[name]-[hash]",
    chunkNames: "assets/[name]-[hash]",
    assetNames: "assets/[name]-[hash]",
    plugins: [tailwind],
    logLevel: "warning",
  });
  const files = outputFiles.map(({ path, contents }) => ({ path: path.slice(1), content: contents }));
  const entries: Record<string, string> = {};
  for (const [path, { entryPoint }] of Object.entries(metafile.outputs)) {
    if (!entryPoint) continue;
    const name = basename(entryPoint).replace(/\.tsx?$/, ".js");
    entries[name] = path.slice(path.indexOf("assets/"));
  }
  return { files, entries, inputs: Object.keys(metafile.inputs) };
}

/** All files of the page, with the names they are served under. */
async function collect(): Promise<{ files: Source[]; inputs: string[] }> {
  const { files, entries, inputs } = await bundle();

  /** The name that a file of ui/ is served under. */
  const served = (name: string): string => {
    const bundled = entries[name];
    if (bundled) return bundled;
    const file = join(ui, name);
    inputs.push(file);
    if (extname(name) === ".webmanifest") {
      // It keeps its name: what it names is relative to it, and so is the page that it starts.
      const manifest = readFileSync(file, "utf8");
      files.push({
        path: name,
        content: Buffer.from(
          manifest.replace(/("src":\s*")([^":]+)"/g, (_, before, icon) => `${before}${served(icon)}"`),
        ),
      });
      return name;
    }
    const content = readFileSync(file);
    const path = hashedName(name, content);
    if (!files.some((other) => other.path === path)) files.push({ path, content });
    return path;
  };

  const document = readFileSync(join(ui, "index.html"), "utf8");
  inputs.push(join(ui, "index.html"));
  const html = document
    .replace(/((?:href|src)=")([^":#?]+)"/g, (_, before, name) => `${before}${served(name)}"`)
    .replace(/>\s+</g, "><")
    .trim();
  files.push({ path: "index.html", content: Buffer.from(html) });
  return { files, inputs };
}

/** Writes the page and its list, `page.json`. */
async function makePage(): Promise<string[]> {
  const { files, inputs } = await collect();
  rmSync(output, { recursive: true, force: true });
  mkdirSync(join(output, "assets"), { recursive: true });
  const list: PageFile[] = [];
  for (const { path, content } of files.sort((a, b) => (a.path < b.path ? -1 : 1))) {
    const extension = extname(path);
    const type = TYPES[extension];
    if (!type) throw new Error(`${path}: no content type is known for ${extension}`);
    writeFileSync(join(output, path), content);
    const file: PageFile = {
      path: path === "index.html" ? "/" : `/${path}`,
      type,
      hash: createHash("sha256").update(content).digest("base64url").slice(0, 22),
      bytes: content.length,
      immutable: path.startsWith("assets/"),
      asset: `page/${path}`,
    };
    const compressed =
      !PACKED.has(extension) &&
      brotliCompressSync(content, {
        params: {
          [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
          [constants.BROTLI_PARAM_SIZE_HINT]: content.length,
        },
      });
    if (compressed && compressed.length < content.length) {
      file.brotli = `${file.asset}.br`;
      writeFileSync(join(assets, file.brotli), compressed);
    }
    list.push(file);
  }
  writeFileSync(join(assets, "page.json"), JSON.stringify(list));
  // Tailwind reads the views and styles by itself, so all of them count.
  const read = readdirSync(ui, { recursive: true, encoding: "utf8" }).filter(
    (name) => /\.(tsx|css)$/.test(name) && !name.startsWith("e2e/"),
  );
  return [...inputs, ...read.map((name) => join(ui, name)), "scripts/build/page.ts"];
}

export const page: Step = {
  name: "page",
  key: locked(),
  outputs: [join(assets, "page.json")],
  make: makePage,
};
