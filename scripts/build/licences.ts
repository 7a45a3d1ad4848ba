import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { assets, locked, root, type Step } from "./step.ts";

const output = join(assets, "licences");

/** Packages that run the build or are the runtime; their licences are told apart from those of the libraries. */
const NO_LIBRARY = /^node_modules\/(node-|node-bin-)/;
const LICENCE = /^(licen[cs]e|copying|notice)/i;

interface Locked {
  version?: string;
  license?: string;
  dev?: boolean;
  optional?: boolean;
}

/** The texts of the licences in a folder. */
function textsIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => LICENCE.test(name) && !name.endsWith(".js"))
    .sort()
    .map((name) => readFileSync(join(folder, name), "utf8").trim());
}

/** One text with the licences of all libraries that the lock file says are shipped. */
function libraries(): string {
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
    packages: Record<string, Locked>;
  };
  const parts: string[] = [];
  for (const [path, { version, license, dev, optional }] of Object.entries(packages)) {
    const folder = join(root, path);
    if (!path || dev || optional || NO_LIBRARY.test(path) || !existsSync(folder)) continue;
    const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
    parts.push([`${name} ${version} (${license})`, ...textsIn(folder)].join("\n\n"));
  }
  return parts.join(`\n\n${"-".repeat(78)}\n\n`);
}

/** ZeroMQ's addon holds libzmq and libsodium, which come without their texts: where the sources are has to be said. */
const ZEROMQ = `libzmq (MPL-2.0), source: https://github.com/zeromq/libzmq
libsodium (ISC), source: https://github.com/jedisct1/libsodium
Copyright (c) 2013-2024 Frank Denis

Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted,
provided that the above copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL
IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT,
INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN
ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF
THIS SOFTWARE.
`;

/** The licences of everything inside the executable, one file each for ourselves, Node, the libraries and each program. */
export function licences(programs: Readonly<Record<string, string | undefined>>): Step {
  const texts: Record<string, () => string> = {
    chatrandom: () => readFileSync(join(root, "LICENSE"), "utf8"),
    node: () => readFileSync(join(dirname(dirname(process.execPath)), "LICENSE"), "utf8"),
    libraries,
    zeromq: () => ZEROMQ,
  };
  for (const [name, text] of Object.entries(programs)) if (text) texts[name] = () => text;
  return {
    name: "licences",
    key: [locked(), ...Object.values(programs)].join("\n"),
    outputs: Object.keys(texts).map((name) => join(output, `${name}.txt`)),
    async make() {
      rmSync(output, { recursive: true, force: true });
      mkdirSync(output, { recursive: true });
      for (const [name, text] of Object.entries(texts)) writeFileSync(join(output, `${name}.txt`), text());
      return ["LICENSE", "scripts/build/licences.ts"];
    },
  };
}
