/** The servers that `server.ts` compares, each in a process of its own. It answers what it has used when asked. */
import { randomBytes, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createRequire } from "node:module";
import { join } from "node:path";
import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";
import { realClock } from "../../src/clock.ts";
import { clientOf } from "../../src/http/client.ts";
import { createMetrics } from "../../src/http/metrics.ts";
import { startHttp } from "../../src/http/server.ts";
import { websocketUpgrade } from "../../src/http/websocket.ts";
import { noLink } from "../../src/links/no-link.ts";
import { redisRegistry } from "../../src/links/redis-registry.ts";
import { RedisMatcher } from "../../src/matching/redis-matcher.ts";
import { DEFAULT_RULES } from "../../src/matching/rules.ts";
import { readWish } from "../../src/matching/wish.ts";
import { redisReports } from "../../src/moderation/reports.ts";
import { Node } from "../../src/node/node.ts";
import { HEARTBEAT_MS, STATUS_MS } from "../../src/protocol/limits.ts";
import { connectRedis } from "../../src/redis/client.ts";
import { startTestRedis } from "../../src/redis/test-server.ts";

/** CPU in µs since the last answer; memory in bytes, after the garbage is gone. */
export interface Used {
  cpu: number;
  rss: number;
  heap: number;
}

const LOCAL = "127.0.0.1";

/** A node as `serve` runs it, without limits: one client sends here what thousands do elsewhere. */
async function chatrandom(): Promise<number> {
  const store = await startTestRedis();
  process.on("exit", () => void store.stop());
  const redis = connectRedis(store.url);
  await redis.check(5_000);
  const any = { burst: 1e9, perSecond: 1e9 };
  const id = randomBytes(9).toString("base64url");
  const link = noLink(id);
  const nothing = (): void => {};
  const metrics = createMetrics(() => node.numbers());
  const node: Node = new Node({
    id,
    // With a few hundred visitors the rule against meeting again would be all that is measured.
    matcher: new RedisMatcher({ redis, prefix: "bench:", rules: { ...DEFAULT_RULES, recentAfter: 0 } }),
    link,
    registry: redisRegistry(redis, "bench:"),
    store: redis,
    ice: { policy: "all", servers: () => [{ urls: ["stun:stun.example:3478"] }] },
    reports: redisReports(redis, "bench:"),
    metrics,
    log: { debug: nothing, info: nothing, warn: nothing, error: console.error },
    clock: realClock,
    random: randomBytes,
    wallClock: Date.now,
    readWish,
    rules: {
      grace: 20_000,
      maxSessions: 1e6,
      heartbeat: HEARTBEAT_MS,
      status: STATUS_MS,
      renew: 1_000,
      lease: DEFAULT_RULES.lease,
      rates: { find: any, signal: any, other: any },
      addressRates: { connections: any, sessions: any, finds: any },
    },
    settings: { name: "bench" },
  });
  await node.start();
  const client = clientOf([], []);
  const upgrade = websocketUpgrade(
    {
      accept: (socket, key) => node.accept(socket, key),
      keyOf: (address) => node.addresses.keyOf(address),
      takeConnection: (key) => node.addresses.take(key, "connections", realClock.now()),
      isOpen: () => !node.isDraining,
    },
    client,
  );
  const health = { notReady: () => node.notReady(), metrics: () => metrics.text() };
  const http = await startHttp({ client, upgrade, health, pageFiles: [], log: console }, LOCAL, 0);
  return http.port;
}

/** The relay that is written first: JSON in, a look into a map, JSON out. */
async function ws(): Promise<number> {
  const clients = new Map<string, WebSocket>();
  const server = new WebSocketServer({ port: 0, host: LOCAL, perMessageDeflate: false });
  server.on("connection", (socket) => {
    const id = randomUUID();
    clients.set(id, socket);
    socket.on("message", (text) => {
      const { type, to, data } = JSON.parse(String(text)) as { type: string; to: string; data: unknown };
      clients.get(to)?.send(JSON.stringify({ type, from: id, data }));
    });
    socket.on("close", () => clients.delete(id));
    socket.send(JSON.stringify({ id }));
  });
  await new Promise((resolve) => server.once("listening", resolve));
  return (server.address() as AddressInfo).port;
}

// What is not in the project's lock file is taken from where the benchmark is run, if it is there.
const peers = createRequire(join(process.cwd(), "package.json"));

interface IoSocket {
  id: string;
  on(event: "signal", listener: (message: { to: string; data: unknown }) => void): void;
}
interface Io {
  on(event: "connection", listener: (socket: IoSocket) => void): void;
  to(id: string): { emit(event: string, message: object): void };
}

async function socketIo(): Promise<number> {
  const { Server } = peers("socket.io") as { Server: new (http: object, options: object) => Io };
  const http = createServer();
  const io = new Server(http, { transports: ["websocket"], perMessageDeflate: false });
  io.on("connection", (socket) => {
    socket.on("signal", ({ to, data }) => io.to(to).emit("signal", { from: socket.id, data }));
  });
  await new Promise<void>((resolve) => http.listen(0, LOCAL, resolve));
  return (http.address() as AddressInfo).port;
}

async function peer(): Promise<number> {
  const { PeerServer } = peers("peer") as {
    PeerServer(options: object, listening: (server: { address(): AddressInfo }) => void): void;
  };
  const options = { port: 0, host: LOCAL, path: "/", alive_timeout: 3_600_000 };
  return new Promise((resolve) => PeerServer(options, (server) => resolve(server.address().port)));
}

const servers: Record<string, () => Promise<number>> = { chatrandom, ws, "socket.io": socketIo, peer };

let cpu = process.cpuUsage();
process.on("disconnect", () => process.exit());
process.on("message", (message: "used" | "memory") => {
  if (message === "memory") for (let n = 0; n < 3; n += 1) globalThis.gc!();
  const { user, system } = process.cpuUsage(cpu);
  const { rss, heapUsed, external } = process.memoryUsage();
  process.send!({ cpu: user + system, rss, heap: heapUsed + external } satisfies Used);
  cpu = process.cpuUsage();
});
try {
  process.send!({ port: await servers[process.argv[2]!]!() });
} catch (error) {
  process.send!({ missing: error instanceof Error ? error.message.split("\n")[0] : String(error) });
}
