import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  accessSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Failure } from "../failure.ts";

/** A native program that the executable carries. */
export interface EmbeddedProgram {
  /** The name of its file, such as `valkey-server`. */
  name: string;
  content(): Uint8Array;
  /** Arguments with which it only says something about itself and exits with 0. */
  probe: readonly string[];
}

/**
 * Directories of our own that files of the executable may be written to, best first. Which of them can be used depends
 * on the machine: some are read-only, some are mounted noexec.
 */
export function privateDirectories(dataDir?: string, env: NodeJS.ProcessEnv = process.env): string[] {
  const cache = env["XDG_CACHE_HOME"] || (env["HOME"] && join(env["HOME"], ".cache"));
  const mine = `chatrandom-${process.geteuid?.() ?? ""}`;
  return [
    ...(dataDir ? [join(dataDir, "programs")] : []),
    ...(cache?.startsWith("/") ? [join(cache, "chatrandom")] : []),
    ...[...new Set([tmpdir(), "/tmp", "/var/tmp", "/dev/shm"])].map((folder) => join(folder, mine)),
  ];
}

/**
 * Makes a directory, ours alone, and those above it.
 * Hazard: mkdirSync's own `recursive` never returns where a directory cannot be made although the one above exists and
 * the error is ENOENT, as under /proc.
 */
export function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" && statSync(directory).isDirectory()) return;
    if (code !== "ENOENT" || existsSync(dirname(directory))) throw error;
    makeDirectory(dirname(directory));
    mkdirSync(directory, { mode: 0o700 });
  }
}

/**
 * Makes a directory that only we can enter, or finds it.
 * @throws Error when it is somebody else's: in a shared directory like /tmp anybody may have made it before us.
 */
export function makePrivateDirectory(directory: string): void {
  makeDirectory(directory);
  const found = lstatSync(directory);
  if (!found.isDirectory() || found.uid !== process.geteuid?.() || (found.mode & 0o077) !== 0) {
    throw new Error("it is not ours alone");
  }
}

const sha256 = (content: Uint8Array): string => createHash("sha256").update(content).digest("hex");

function isIntact(file: string, hash: string): boolean {
  try {
    return lstatSync(file).isFile() && sha256(readFileSync(file)) === hash;
  } catch {
    return false;
  }
}

/**
 * Writes content to a file named after its hash in a private directory, unless it is there already and intact. The
 * file appears under its name complete or not at all; files of older versions are removed.
 * Written synchronously, so that no process is spawned meanwhile: a child that inherited the open file for a moment
 * would make its execution fail with ETXTBSY.
 * @returns its path, and whether it has just been written
 * @throws Error when the directory cannot be used.
 */
export function place(
  directory: string,
  name: string,
  content: Uint8Array,
): { file: string; fresh: boolean } {
  makePrivateDirectory(directory);
  const hash = sha256(content);
  const file = join(directory, `${name}-${hash.slice(0, 16)}`);
  if (isIntact(file, hash)) return { file, fresh: false };
  const next = `${file}.${process.pid}`;
  rmSync(next, { force: true });
  try {
    writeFileSync(next, content, { mode: 0o700, flag: "wx" });
    renameSync(next, file);
  } finally {
    rmSync(next, { force: true });
  }
  // Not what another process writes just now: that begins with the whole name of the file.
  for (const other of readdirSync(directory)) {
    const path = join(directory, other);
    if (other.startsWith(`${name}-`) && !path.startsWith(file)) rmSync(path, { force: true });
  }
  return { file, fresh: true };
}

/** Resolves when the program runs and exits with 0; rejects with the reason otherwise. */
function tryToRun(file: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    // Pipes, because "ignore" needs /dev/null, which an empty root directory does not have.
    const child = spawn(file, args, { stdio: "pipe", env: {}, timeout: 5000, killSignal: "SIGKILL" });
    child.stdout.resume();
    child.stderr.resume();
    child.once("error", reject);
    child.once("exit", (code, signal) =>
      code === 0 ? resolve() : reject(new Error(`it exits with ${code ?? signal}`)),
    );
  });
}

/** A file that does not run is not left for the next start, which would take it for one that did. */
function forget(file: string, error: unknown): never {
  rmSync(file, { force: true });
  throw error;
}

/**
 * Puts a program where it really executes: into the first of the directories that takes it and that is not mounted
 * noexec. One that has just been written is run once to see; for one that was there already the mount is asked.
 * @returns the path of its file
 * @throws Failure that names every directory and what is wrong with it.
 */
export async function extract(program: EmbeddedProgram, directories: readonly string[]): Promise<string> {
  const content = program.content();
  const refused: string[] = [];
  for (const directory of directories) {
    try {
      const { file, fresh } = place(directory, program.name, content);
      if (fresh) await tryToRun(file, program.probe).catch((error) => forget(file, error));
      else accessSync(file, constants.X_OK);
      return file;
    } catch (error) {
      refused.push(`${directory} (${(error as NodeJS.ErrnoException).code ?? (error as Error).message})`);
    }
  }
  throw new Failure(`found no directory that ${program.name} can be run from: tried ${refused.join(", ")}`);
}
