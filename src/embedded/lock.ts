import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { linkSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { Failure } from "../failure.ts";

/** One line for the operator, whatever it is that cannot be written there. */
export function cannotWrite(directory: string, error: unknown): Failure {
  const { code } = error as NodeJS.ErrnoException;
  const way = code === "ENOSPC" ? "make room there, or choose another with" : "choose another with";
  return new Failure(`cannot write to the data directory ${directory} (${code}): ${way} --data-dir`);
}

/** A random word kept in the directory. Read it, or make it, so that of two who make it at once both have the same. */
function ownWord(directory: string): string {
  const file = join(directory, "lock");
  const next = `${file}.${process.pid}`;
  try {
    return readFileSync(file, "utf8");
  } catch {
    try {
      writeFileSync(next, randomBytes(16).toString("hex"), { mode: 0o600 });
      linkSync(next, file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw cannotWrite(directory, error);
    } finally {
      rmSync(next, { force: true });
    }
    return readFileSync(file, "utf8");
  }
}

const ANSWER_MS = 500;

/** The process that holds a lock, by its own word; "" where it gives none. */
async function holderOf(name: string): Promise<string> {
  const socket = connect(name);
  socket.setTimeout(ANSWER_MS, () => socket.destroy());
  try {
    return /^\d{1,10}$/.exec(await text(socket))?.[0] ?? "";
  } catch {
    return "";
  }
}

/**
 * Takes the data directory for this process: the lock is an abstract unix socket, which the kernel gives back however
 * the process ends. Its name is made of the directory's path and of a random word kept in it: nobody who cannot read
 * the directory can take the name first, and two containers that share a network and call their volumes the same do
 * not lock each other out. (Containers that share a volume but not a network are not kept apart.)
 * @returns the function that gives it back
 * @throws Failure that names the directory, when another process has it or it cannot be written.
 */
export async function lockDirectory(directory: string): Promise<() => Promise<void>> {
  const hash = createHash("sha256").update(realpathSync(directory)).update("\0").update(ownWord(directory));
  const name = `\0chatrandom-${hash.digest("hex")}`;
  // Who finds it taken is told by whom.
  const server = createServer((socket) => {
    socket.on("error", () => {}).end(String(process.pid), () => socket.destroy());
  });
  try {
    server.listen(name);
    await once(server, "listening");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    const pid = await holderOf(name);
    throw new Failure(
      `another chatrandom${pid && ` (process ${pid})`} is running on the data directory ${directory}: ` +
        "stop it, or choose another with --data-dir",
    );
  }
  server.unref();
  return () => new Promise<void>((resolve) => server.close(() => resolve()));
}
