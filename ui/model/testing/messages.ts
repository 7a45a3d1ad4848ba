/** What a node says, in its plainest form. */
import type { Matched, Waiting, Welcome } from "../../../src/protocol/messages.ts";

export const welcome = (change: Partial<Welcome> = {}): Welcome => ({
  type: "welcome",
  version: 1,
  resume: "token",
  resumed: false,
  state: "idle",
  iceServers: [{ urls: "stun:192.0.2.7" }],
  iceTransportPolicy: "all",
  online: 5,
  settings: {},
  ...change,
});

export const waiting = (change: Partial<Waiting> = {}): Waiting => ({
  type: "waiting",
  since: 0,
  online: 2,
  waiting: 1,
  relaxed: [],
  ...change,
});

export const matched = (pair: string, change: Partial<Matched> = {}): Matched => ({
  type: "matched",
  pair,
  mode: "video",
  role: "answerer",
  common: { interests: [] },
  ...change,
});
