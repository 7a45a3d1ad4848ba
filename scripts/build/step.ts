import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of the project, with a `/` at the end. */
export const root = fileURLToPath(new URL("../../", import.meta.url));
/** What the executable carries; see src/embedded/assets.ts. */
export const assets = join(root, "dist/assets");

const stamps = join(root, ".cache/build");

export const hashOf = (content: string | Uint8Array): string =>
  createHash("sha256").update(content).digest("hex");

function hashOfFile(file: string): string | undefined {
  try {
    return hashOf(readFileSync(join(root, file)));
  } catch {
    return undefined;
  }
}

interface Stamp {
  key: string;
  /** Path from the project's folder → hash of the content. */
  inputs: Record<string, string>;
}

/** A part of the build that is done again only when something that went into it has changed. */
export interface Step {
  name: string;
  /** Whatever it depends on that is no file of the project: versions, settings. */
  key: string;
  /** Paths that must exist afterwards. */
  outputs: readonly string[];
  /** Does it; answers with the files that went into it. Those of node_modules stand for themselves: see `locked`. */
  make(): Promise<readonly string[]>;
}

/** Does the step unless nothing has changed since the last time. Answers whether it was done. */
export async function run({ name, key, outputs, make }: Step): Promise<boolean> {
  const file = join(stamps, `${name}.json`);
  if (existsSync(file) && outputs.every((output) => existsSync(output))) {
    const stamp = JSON.parse(readFileSync(file, "utf8")) as Stamp;
    const same = Object.entries(stamp.inputs).every(([input, hash]) => hashOfFile(input) === hash);
    if (stamp.key === key && same) return false;
  }
  // The clock of a file system is a little behind.
  const started = Date.now() - 20;
  const inputs = [...new Set((await make()).map((input) => relative(root, resolve(root, input))))]
    .filter((input) => !input.startsWith("node_modules/"))
    .sort();
  // What was written to meanwhile may have been read before: no hash, so the step is done again next time.
  const hash = (input: string) =>
    statSync(join(root, input)).mtimeMs < started ? hashOfFile(input) : undefined;
  const stamp: Stamp = { key, inputs: Object.fromEntries(inputs.map((input) => [input, hash(input) ?? ""])) };
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, JSON.stringify(stamp, undefined, 1));
  console.log(`  ${name} (${Date.now() - started} ms)`);
  return true;
}

/** Stands for all of node_modules in a step's key. */
export const locked = (): string => hashOf(readFileSync(join(root, "package-lock.json")));
