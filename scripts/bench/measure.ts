/** What the benchmarks measure with. */
import { readFileSync } from "node:fs";

export const elapse = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));

export const quantile = (of: readonly number[], share: number): number =>
  of.toSorted((a, b) => a - b)[Math.min(of.length - 1, Math.floor(of.length * share))] ?? Number.NaN;

/** CPU time of everybody on this machine, in ms; 0 where it cannot be known. */
export function busyMs(): number {
  try {
    const [user = 0, nice = 0, system = 0] = readFileSync("/proc/stat", "utf8")
      .split(/\s+/)
      .slice(1, 4)
      .map(Number);
    return (user + nice + system) * 10;
  } catch {
    return 0;
  }
}
