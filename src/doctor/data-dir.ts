/** Whether the data directory can be written, and has room. */
import { accessSync, constants, existsSync, statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { bytes, type Finding, fine, spelled, warning, wrong } from "./finding.ts";

const CHECK = "data directory";
const MB = 1024 ** 2;
const LOW = 1024 * MB;
const LEAST = 100 * MB;

/** `free` answers how many bytes an ordinary user may still write there. */
export function checkDataDir(directory: string, free: (there: string) => number = freeIn): Finding {
  const change = `change ${spelled("data_dir")}`;
  const there = nearest(directory);
  const isThere = there === directory;
  if (isThere && !statSync(directory).isDirectory()) return wrong(CHECK, `${directory} is a file`, change);
  try {
    accessSync(there, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch {
    const text = isThere
      ? `${directory} cannot be written by this user`
      : `${directory} cannot be made in ${there}`;
    return wrong(CHECK, text, `give it to the user that serves (chown), or ${change}`);
  }
  return judgeRoom(isThere ? directory : `${directory}, which will be made`, free(there));
}

function freeIn(there: string): number {
  const { bavail, bsize } = statfsSync(there);
  return bavail * bsize;
}

/** `free` is in bytes. */
export function judgeRoom(directory: string, free: number): Finding {
  const text = `${directory}, ${bytes(free)} free`;
  const advice = `make room there: without it no block and no report is kept; or change ${spelled("data_dir")}`;
  if (free < LEAST) return wrong(CHECK, text, advice);
  return free < LOW ? warning(CHECK, text, advice) : fine(CHECK, text);
}

/** The directory, or the one above it that is there. */
function nearest(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : nearest(dirname(path));
}
