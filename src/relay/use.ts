/** The embedded relay as a node uses it: what comes for it at the shared port, and how it is. */
import type { Socket } from "node:net";
import type { Clock } from "../clock.ts";
import { seldom } from "../seldom.ts";
import { answersStun } from "./answers-stun.ts";
import type { RelayCounts } from "./counts.ts";
import type { SharedRelay } from "./embedded-relay.ts";
import { forwardTo, type NotForwarded } from "./forward.ts";
import { streamRate } from "./stream-rate.ts";

/** What the relay adds, asked at each scrape. */
export interface RelayNumbers {
  isUp(): Promise<boolean>;
  /** Undefined where somebody else tells. */
  counts?: (() => Promise<RelayCounts>) | undefined;
  /** Connections of the shared port that are handed to it now. */
  streams(): number;
}

export interface UseParts {
  readonly metrics: {
    watchRelay(numbers: RelayNumbers): void;
    forwarded(): void;
    notForwarded(why: NotForwarded): void;
  };
  readonly addresses: {
    /** Stands for an address; undefined where it does not count. */
    keyOf(address: string): string | undefined;
  };
  /** What it may be handed at a time, and the word that it has as much. */
  readonly room: { readonly streams: number; noStream(): void };
  readonly clock: Clock;
  /** Workers do not know: the process is the supervisor's. */
  readonly counts?: () => Promise<RelayCounts>;
}

export interface UsedRelay {
  /** See `onStun` of `sharePort`. */
  take(socket: Socket): void;
  /** How many it has taken that are open. */
  readonly streams: number;
  state(): Promise<"up" | "down">;
  close(): void;
}

/** Strangers may ask for it any number of times. */
const ASK_EVERY_MS = 1_000;

export function useRelay(
  { proxyPort }: SharedRelay,
  { metrics, addresses, room, clock, counts }: UseParts,
): UsedRelay {
  const admits = streamRate();
  const forwarder = forwardTo({
    port: proxyPort,
    max: room.streams,
    admits: (address) => admits(addresses.keyOf(address), clock.now()),
    forwarded: () => metrics.forwarded(),
    refused(why) {
      metrics.notForwarded(why);
      if (why === "crowded") room.noStream();
    },
  });
  // It is asked and not its process: workers have no other way, and one that hangs is not up.
  const isUp = seldom(clock, ASK_EVERY_MS, () => answersStun(proxyPort));
  metrics.watchRelay({
    isUp,
    counts,
    streams: () => forwarder.streams,
  });
  return {
    take: (socket) => forwarder.take(socket),
    get streams() {
      return forwarder.streams;
    },
    state: async () => ((await isUp()) ? "up" : "down"),
    close: () => forwarder.close(),
  };
}
