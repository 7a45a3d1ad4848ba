import { readFileSync } from "node:fs";

/** Whether a process has ended, also where nobody has asked yet how it ended. */
export function isGone(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return true;
  }
}
