import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { requirePackages } from "../native/debian.ts";
import { removeLibatomic } from "./libatomic.ts";
import { bundleFile } from "./server.ts";
import { assets, hashOf, root, type Step } from "./step.ts";

export const executableFile = join(root, "dist/chatrandom");

/**
 * This very Node, without its symbols (33 MB less) and without its need for a library that a fresh Linux lacks. Both
 * before the injection: a stripped executable crashes afterwards.
 */
function baseNode(): string {
  const { size, mtimeMs } = statSync(process.execPath);
  const recipe = hashOf(readFileSync(join(root, "scripts/build/libatomic.ts")));
  const key = hashOf([process.version, process.arch, size, mtimeMs, recipe].join()).slice(0, 16);
  const file = join(root, `.cache/node-${key}`);
  if (existsSync(file)) return file;
  const next = `${file}.${process.pid}`;
  mkdirSync(dirname(file), { recursive: true });
  for (const old of readdirSync(dirname(file))) {
    if (old.startsWith("node-")) rmSync(join(dirname(file), old), { force: true });
  }
  copyFileSync(process.execPath, next);
  requirePackages(["binutils"]);
  execFileSync("strip", [next]);
  if (process.arch === "x64") {
    const elf = readFileSync(next);
    removeLibatomic(elf);
    writeFileSync(next, elf);
  }
  renameSync(next, file);
  return file;
}

const filesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();

/** Puts the bundle and everything under dist/assets into a copy of Node. */
async function makeExecutable(): Promise<string[]> {
  const files = filesIn(assets);
  const next = `${executableFile}.${process.pid}`;
  const settings = join(root, ".cache/build/sea.json");
  writeFileSync(
    settings,
    JSON.stringify({
      main: bundleFile,
      mainFormat: "commonjs",
      executable: baseNode(),
      output: next,
      disableExperimentalSEAWarning: true,
      // A tenth off the CPU time of a start. V8 would refuse it, silently, if execArgv set flags that change its code.
      useCodeCache: true,
      assets: Object.fromEntries(files.map((file) => [relative(assets, file), file])),
      // A signal that opens a debugger is nothing for a server that strangers talk to. What a library should no longer
      // call is nothing for its log, where Node would write it as no line of JSON.
      execArgv: ["--disable-sigusr1", "--no-deprecation"],
      // NODE_OPTIONS would let the environment inject code or flags.
      execArgvExtension: "none",
    }),
  );
  execFileSync(process.execPath, ["--build-sea", settings], {
    cwd: root,
    stdio: ["ignore", "ignore", "inherit"],
  });
  renameSync(next, executableFile);
  return [bundleFile, ...files, "scripts/build/executable.ts", "scripts/build/libatomic.ts"];
}

export const executable: Step = {
  name: "executable",
  key: `${process.version} ${process.arch}`,
  outputs: [executableFile],
  make: makeExecutable,
};
