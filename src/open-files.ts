/** Every connection takes a file descriptor, and the system sets a limit to them: "open files". */
import { readFileSync } from "node:fs";

/** What a node has open beside its visitors. */
const OTHERS = 100;
/** The part of its connections that a node keeps for pages that are being loaded, and for who is told that it is full. */
const KEPT_FREE = 0.1;

export const RAISE_OPEN_FILES =
  "set LimitNOFILE=65536 in the unit of systemd, or ulimit -n 65536 before the start";

/** @param limits the text of `/proc/<pid>/limits`; undefined where there is none */
export function openFiles(limits: string | undefined): { soft: number; hard: number } | undefined {
  const [, soft, hard] = /^Max open files\s+(\d+|unlimited)\s+(\d+|unlimited)/m.exec(limits ?? "") ?? [];
  return soft === undefined || hard === undefined ? undefined : { soft: count(soft), hard: count(hard) };
}

/** How many this process may have; a system that does not tell sets no limit that would help. Node has raised it. */
export function mostOpenFiles(): number {
  try {
    return openFiles(readFileSync("/proc/self/limits", "utf8"))?.soft ?? Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

const count = (text: string): number => (text === "unlimited" ? Number.POSITIVE_INFINITY : Number(text));

/** How many connections so many descriptors are enough for. */
export const connectionsIn = (limit: number): number => limit - Math.min(OTHERS, Math.ceil(limit / 2));

/** And how many visitors. */
export const visitorsIn = (limit: number): number => Math.floor(connectionsIn(limit) * (1 - KEPT_FREE));
