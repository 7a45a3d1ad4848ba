import type { Clock } from "./clock.ts";
import type { Logger } from "./log.ts";
import { connectionsIn, mostOpenFiles, RAISE_OPEN_FILES, visitorsIn } from "./open-files.ts";
import { seldom } from "./seldom.ts";

/** What a node has room for, and the word in the log that it is full, which is said once an hour at most. */
export interface Room {
  readonly visitors: number;
  readonly connections: number;
  /** Connections that are handed to the relay. */
  readonly streams: number;
  /**
   * How many connections may be open while so many are streams of the relay, each of which takes another one, to there, and
   * so many more may become one: they all may at once.
   */
  beside(streams: number, arrivals: number): number;
  noVisitor(): void;
  noConnection(): void;
  noStream(): void;
}

/** What the operator admits. */
export interface Admitted {
  readonly visitors: number;
  readonly streams: number;
}

const SAY_AGAIN_MS = 3_600_000;

/** The part of its connections that may be streams of the relay. With those to there it is half, and the rest is for pages. */
const STREAMS = 1 / 4;

/** @param most as far as the limit of open files has room for as many */
export function roomFor(
  most: Admitted,
  {
    clock,
    log,
    openFiles = mostOpenFiles(),
  }: { clock: Clock; log: Pick<Logger, "warn">; openFiles?: number },
): Room {
  const connections = connectionsIn(openFiles);
  const visitors = Math.min(most.visitors, visitorsIn(openFiles));
  const streams = Math.min(most.streams, Math.floor(connections * STREAMS));
  const say = (text: string): (() => void) =>
    seldom(clock, SAY_AGAIN_MS, () => log.warn({ sessions: visitors, openFiles }, text));
  return {
    visitors,
    connections,
    streams,
    beside: (open, arrivals) => connections - open - Math.min(arrivals, streams - open),
    noVisitor: say(
      visitors < most.visitors
        ? `no room for more visitors, new ones are turned away: ${RAISE_OPEN_FILES}`
        : "as many visitors as session.max admits, new ones are turned away",
    ),
    noConnection: say(`no room for more connections: ${RAISE_OPEN_FILES}`),
    noStream: say(
      streams < most.streams
        ? `no room for more connections to the relay, new ones are closed: ${RAISE_OPEN_FILES}`
        : "as many connections to the relay as turn.max_allocations admits, new ones are closed",
    ),
  };
}
