import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, linkSync, openSync, renameSync, rmSync, writeSync } from "node:fs";

/** Writes a file that only we can read, so that at every moment, also after a crash, it is the old one or the new. */
export function keepPrivately(file: string, content: string): void {
  write(file, content, renameSync);
}

/** The same, unless the file is there already: then it stays, and the answer is false. */
export function keepFirst(file: string, content: string): boolean {
  try {
    write(file, content, (next) => {
      linkSync(next, file);
      rmSync(next);
    });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function write(file: string, content: string, finish: (next: string, file: string) => void): void {
  const next = `${file}.${randomBytes(6).toString("hex")}`;
  try {
    const descriptor = openSync(next, "wx", 0o600);
    try {
      writeSync(descriptor, content);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    finish(next, file);
  } catch (error) {
    rmSync(next, { force: true });
    throw error;
  }
}
