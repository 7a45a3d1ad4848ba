import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { fetchSource, requirePackages, type DebianSource } from "./debian.ts";

/** A program in C that the executable carries: what it is built from and how. One file each beside this one. */
export interface NativeProgram {
  /** The name of its executable file. */
  name: string;
  /** The variable that names a ready binary to take instead. */
  override: string;
  /** Debian's source package. */
  source: string;
  /** Debian packages that the build needs. */
  packages: readonly string[];
  /** Names to look for on PATH when it cannot be built. */
  onPath: readonly string[];
  /** The recipe's own files: their texts are part of what the cache is keyed by. */
  recipe: readonly string[];
  /** The compiler, which also compiles the part that ends the program with its parent. */
  compiler: string;
  /** Builds it; returns the path of the (unstripped) executable. */
  build(work: NativeBuild): string;
  /** Files whose texts are its licences. */
  licences(source: DebianSource): readonly string[];
}

export interface NativeBuild {
  source: DebianSource;
  /** Object file that must be linked in: it ends the program with its parent. */
  endWithParent: string;
  /** Runs a command in the source's folder; throws with the end of its output when it fails. */
  run(command: string, args: readonly string[], environment?: Record<string, string>): void;
  jobs: number;
}

export interface BuiltProgram {
  path: string;
  /** Text of its licences, or undefined when the binary is not ours. */
  licence?: string;
}

const here = fileURLToPath(new URL(".", import.meta.url));
const cache = fileURLToPath(new URL("../../.cache/native/", import.meta.url));

function run(
  cwd: string,
  command: string,
  args: readonly string[],
  environment: Record<string, string> = {},
): void {
  try {
    execFileSync(command, args, {
      cwd,
      env: { ...process.env, ...environment },
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
      maxBuffer: 64 << 20,
    });
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    throw new Error(`${command} failed:\n${(stdout + stderr).split("\n").slice(-30).join("\n")}`);
  }
}

/** The folder that holds this build of the program: named by the hash of its recipe and of what is linked in. */
function cacheFolder(program: NativeProgram): string {
  const hash = createHash("sha256").update(process.arch);
  for (const file of [...program.recipe, "end-with-parent.c"]) {
    hash.update(readFileSync(join(here, file)));
  }
  return join(cache, `${program.name}-${hash.digest("hex").slice(0, 16)}`);
}

function buildFromSource(program: NativeProgram, folder: string): void {
  console.log(`building ${program.name} from Debian's source (about a minute, once)`);
  requirePackages(["dpkg-dev", "make", "gcc", "libc6-dev", ...program.packages]);
  const source = fetchSource(program.source);
  const next = `${folder}.${process.pid}`;
  try {
    mkdirSync(next, { recursive: true });
    const endWithParent = join(source.root, "end-with-parent.o");
    run(here, program.compiler, ["-O2", "-Wall", "-c", "end-with-parent.c", "-o", endWithParent]);
    const built = program.build({
      source,
      endWithParent,
      run: (command, args, environment) => run(source.directory, command, args, environment),
      jobs: availableParallelism(),
    });
    copyFileSync(built, join(next, program.name));
    run(next, "strip", [program.name]);
    chmodSync(join(next, program.name), 0o755);
    const licences = program.licences(source).map((file) => readFileSync(file, "utf8").trimEnd());
    writeFileSync(
      join(next, "LICENCE"),
      [`${program.source} ${source.version}`, ...licences].join(`\n\n${"-".repeat(78)}\n\n`) + "\n",
    );
    rmSync(folder, { recursive: true, force: true });
    renameSync(next, folder);
  } finally {
    rmSync(next, { recursive: true, force: true });
    rmSync(source.root, { recursive: true, force: true });
  }
}

function findOnPath(names: readonly string[]): string | undefined {
  return (process.env["PATH"] ?? "")
    .split(delimiter)
    .flatMap((folder) => names.map((name) => join(folder, name)))
    .find((file) => existsSync(file));
}

/** `.cache/native/<name>` always leads to the binary in use: tests start their own servers from there. */
function link(program: NativeProgram, path: string): void {
  const name = join(cache, program.name);
  if (existsSync(name) && realpathSync(name) === realpathSync(path)) return;
  mkdirSync(cache, { recursive: true });
  const next = `${name}.${process.pid}`;
  symlinkSync(path, next);
  renameSync(next, name);
}

/**
 * Finds or makes the program's executable: the one named by its variable, the one built before, one built now from
 * Debian's source, or one on PATH with a warning.
 * @throws Error when none of these works.
 */
export function obtain(program: NativeProgram): BuiltProgram {
  const named = process.env[program.override];
  if (named) {
    if (!existsSync(named)) throw new Error(`${program.override} names ${named}, which does not exist`);
    link(program, named);
    return { path: named };
  }
  const folder = cacheFolder(program);
  const path = join(folder, program.name);
  if (!existsSync(path)) {
    try {
      buildFromSource(program, folder);
    } catch (error) {
      const reason = (error as Error).message;
      const found = findOnPath(program.onPath);
      if (!found) {
        throw new Error(
          `${program.name} cannot be built: ${reason}\nOr set ${program.override} to a statically linked one.`,
        );
      }
      console.warn(
        `warning: ${program.name} cannot be built (${reason}); taking ${found}. ` +
          "The executable then runs only where that program's libraries are, and may leave it behind when killed.",
      );
      link(program, found);
      return { path: found };
    }
  }
  link(program, path);
  return { path, licence: readFileSync(join(folder, "LICENCE"), "utf8") };
}
