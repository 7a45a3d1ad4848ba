import type { Clock } from "./clock.ts";
import type { Logger } from "./log.ts";
import { connectionsIn, mostOpenFiles, RAISE_OPEN_FILES, visitorsIn } from "./open-files.ts";
import { seldom } from "./seldom.ts";

/** What a node has room for, and the word in the log that it is full, which is said once an hour at most. */
export interface Room {
  readonly visitors: number;
  readonly connections: number;
  noVisitor(): void;
  noConnection(): void;
}

const SAY_AGAIN_MS = 3_600_000;

/** @param most how many visitors the operator admits, where the limit of open files has room for as many */
export function roomFor(
  most: number,
  {
    clock,
    log,
    openFiles = mostOpenFiles(),
  }: { clock: Clock; log: Pick<Logger, "warn">; openFiles?: number },
): Room {
  const visitors = Math.min(most, visitorsIn(openFiles));
  const say = (text: string): (() => void) =>
    seldom(clock, SAY_AGAIN_MS, () => log.warn({ sessions: visitors, openFiles }, text));
  return {
    visitors,
    connections: connectionsIn(openFiles),
    noVisitor: say(
      visitors < most
        ? `no room for more visitors, new ones are turned away: ${RAISE_OPEN_FILES}`
        : "as many visitors as session.max admits, new ones are turned away",
    ),
    noConnection: say(`no room for more connections: ${RAISE_OPEN_FILES}`),
  };
}
