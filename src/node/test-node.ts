/** A node for tests, whose store, link and clock are the test's. */
import { randomBytes } from "node:crypto";
import { vi } from "vitest";
import { noLink } from "../links/no-link.ts";
import type { Matcher } from "../matching/matcher.ts";
import { readWish } from "../matching/wish.ts";
import { sessionIdOf } from "../session/resume-token.ts";
import { StillClock } from "../still-clock.ts";
import type { NodeMetrics, NodeParts } from "./contracts.ts";
import { FakeSocket } from "./fake-socket.ts";
import { Node } from "./node.ts";

export type Resumed = Awaited<ReturnType<Matcher["resume"]>>;

const ANY = { burst: 1_000, perSecond: 1_000 };
export const TOKEN = "t".repeat(43);
export const settled = () => new Promise((resolve) => void setImmediate(resolve));

/** A node whose store answers at once, except that `resume` waits to be told what to say. */
export async function start(more: Partial<NodeParts> = {}) {
  const clock = new StillClock();
  const resumes: PromiseWithResolvers<Resumed>[] = [];
  const waiting = { kind: "waiting", since: 1, relaxed: [], retryIn: 30_000, passed: {} };
  const matcher = {
    open: vi.fn(async () => {}),
    resume: vi.fn(() => {
      const resume = Promise.withResolvers<Resumed>();
      resumes.push(resume);
      return resume.promise;
    }),
    restore: vi.fn<Matcher["restore"]>(async () => ({ restored: "held" })),
    find: vi.fn(async () => waiting),
    undo: vi.fn(async () => waiting),
    absent: vi.fn(async () => {}),
    leave: vi.fn(async () => undefined),
    end: vi.fn(async () => undefined),
    renew: vi.fn<Matcher["renew"]>(async (_node, total) => ({ total, nodes: ["n"], dead: [], heldSince: 1 })),
    retire: vi.fn(async () => {}),
  };
  const nothing = () => {};
  const metrics = new Proxy({} as NodeMetrics, { get: () => nothing });
  const node = new Node({
    id: "n",
    matcher: matcher as unknown as Matcher,
    link: noLink("n"),
    registry: { announce: async () => {}, look: async () => [], remove: async () => {} },
    store: { ready: true },
    ice: { policy: "all", servers: () => [] },
    reports: { add: async () => true },
    metrics,
    log: { debug: nothing, info: nothing, warn: nothing, error: nothing },
    clock,
    random: randomBytes,
    wallClock: () => 0,
    readWish,
    rules: {
      grace: 20_000,
      maxSessions: 100,
      heartbeat: 20_000,
      status: 15_000,
      renew: 1_000,
      lease: 5_000,
      rates: { find: ANY, signal: ANY, other: ANY },
      addressRates: { connections: ANY, sessions: ANY, finds: ANY },
    },
    settings: {},
    ...more,
  });
  await node.start();
  const connect = (...messages: object[]) => {
    const socket = new FakeSocket();
    const connection = node.accept(socket, undefined);
    const say = (message: object) => connection.onFrame(Buffer.from(JSON.stringify(message)), false);
    for (const message of messages) say(message);
    return {
      socket,
      say,
      pong: () => connection.onPong(),
      drop: () => connection.onSocketClosed(),
      types: () => socket.take().map(({ type }) => type),
    };
  };
  return { node, clock, matcher, resumes, connect };
}

/** What the store says of an idle session that another node held. */
export const found = (previousNode = "other"): Resumed => ({
  holder: { session: sessionIdOf(TOKEN), node: "n", epoch: 2, device: "d" },
  previousNode,
  resumed: { state: "idle" },
});
export const HELLO = { type: "hello" };
export const RESUME = { type: "hello", resume: TOKEN };
