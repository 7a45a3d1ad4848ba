import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";

/** Writes a file that only we can read, so that at every moment, also after a crash, it is the old one or the new. */
export function keepPrivately(file: string, content: string): void {
  const next = `${file}.${randomBytes(6).toString("hex")}`;
  try {
    const descriptor = openSync(next, "wx", 0o600);
    try {
      writeSync(descriptor, content);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(next, file);
  } catch (error) {
    rmSync(next, { force: true });
    throw error;
  }
}
