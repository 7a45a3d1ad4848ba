import { Redis } from "ioredis";
import type { RedisOptions } from "ioredis";
import type { RedisClient } from "./scripts.ts";

/** The oldest server whose scripts do what ours need. Every Valkey is newer. */
const OLDEST = [6, 2] as const;

export interface RedisConnection {
  /** The client of this moment: ask for it at each use, since one that has ended for good is replaced. */
  readonly client: RedisClient;
  /** Whether Redis can be asked now. Without it every command is rejected at once. */
  readonly ready: boolean;
  /**
   * Resolves once Redis answers and is new enough; rejects with a message for people when it is too old, refuses us,
   * or has not answered within `timeout` ms. The connection goes on trying all the same.
   */
  check(timeout: number): Promise<void>;
  /** The address by which this machine reaches Redis; undefined over a unix socket or while there is no connection. */
  localAddress(): string | undefined;
  /** Stops trying, and ends the connection once what was sent is answered. */
  close(): Promise<void>;
}

export interface RedisEvents {
  /** Redis can be asked from now on. */
  onUp?(): void;
  /** Redis cannot be asked from now on. The reason is for people and holds no secret. */
  onDown?(reason: string): void;
}

/**
 * Connects to Redis, for ever: whatever happens to the server, the next one that listens there is used.
 *
 * Nothing waits in this process for a Redis that is away: a command is rejected at once while there is no connection,
 * when the connection breaks before the answer, and after a second without one (it may still have been done then).
 * @param target `redis://` or `rediss://` with user, password and database, or the path of a unix socket
 * @throws Error naming what is wrong with `target`, without its password
 */
export function connectRedis(target: string, events: RedisEvents = {}): RedisConnection {
  const options = parseTarget(target);
  let closed = false;
  let up = false;
  let reason = "not connected yet";

  const fell = (why: string): void => {
    reason = why;
    if (!up) return;
    up = false;
    events.onDown?.(why);
  };
  const open = (): RedisClient => {
    const client = new Redis({ ...options, ...FAIL_FAST });
    client.on("ready", () => {
      up = true;
      events.onUp?.();
    });
    // Without a listener an error would end the process; the close that follows is what counts.
    client.on("error", (error: Error) => (reason = error.message));
    client.on("close", () => fell(reason));
    client.once("end", () => {
      fell(reason);
      if (!closed) connection.client = open();
    });
    return client;
  };

  const connection = {
    client: undefined as unknown as RedisClient,
    get ready() {
      return up;
    },
    async check(timeout: number) {
      const { client } = connection;
      if (!up) await settled(client, timeout, () => reason);
      await requireVersion(connection.client);
    },
    localAddress: () => (connection.client as Redis).stream?.localAddress,
    async close() {
      closed = true;
      await connection.client.quit().catch(() => connection.client.disconnect());
    },
  };
  connection.client = open();
  return connection;
}

/** A Redis address as it may be shown. */
export const withoutPassword = (target: string): string => target.replace(/(?<=:\/\/)[^@]*(?=@)/, "***");

/** A find has to be answered or rejected within about a second, so that its node can tell the visitor. */
const FAIL_FAST: RedisOptions = {
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  commandTimeout: 1_000,
  connectTimeout: 2_000,
  // For ever: 50 ms at first, at most 2 s, with a spread so that the nodes of a cluster do not come all at once.
  retryStrategy: (times) => Math.min(2_000, 50 * 2 ** Math.min(times, 6)) * (0.75 + Math.random() / 2),
  reconnectOnError: (error) => error.message.startsWith("READONLY"),
  connectionName: "chatrandom",
  noDelay: true,
};

/** @throws Error when `target` is none of what `connectRedis` takes. */
export function parseTarget(target: string): RedisOptions {
  if (target.startsWith("/") || target.startsWith("./")) return { path: target };
  let url: URL;
  try {
    url = new URL(target);
  } catch {
    throw new Error("the Redis address is neither a URL such as redis://host:6379 nor the path of a socket");
  }
  if (url.protocol !== "redis:" && url.protocol !== "rediss:") {
    throw new Error(
      `the Redis address begins with ${url.protocol}//, but must begin with redis:// or rediss://`,
    );
  }
  const db = url.pathname.slice(1);
  if (!/^\d*$/.test(db)) throw new Error("the path of the Redis address must be the number of a database");
  return {
    host: url.hostname.replace(/^\[|\]$/g, "") || "127.0.0.1",
    port: url.port ? Number(url.port) : 6379,
    db: Number(db),
    ...(url.username && { username: decodeURIComponent(url.username) }),
    ...(url.password && { password: decodeURIComponent(url.password) }),
    ...(url.protocol === "rediss:" && { tls: {} }),
  };
}

/** @throws Error with a message for people when the server is too old. One that will not say is taken as it is. */
async function requireVersion(client: RedisClient): Promise<void> {
  const info = await client.info("server").catch(() => "");
  // Valkey gives the version of Redis that it is compatible with under this name.
  const version = /^redis_version:(\d+)\.(\d+)(\S*)/m.exec(info);
  if (!version) return;
  const [major, minor] = [Number(version[1]), Number(version[2])];
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
    throw new Error(
      `Redis is version ${major}.${minor}${version[3]}, which is too old: ${OLDEST.join(".")} or newer is needed, or any Valkey`,
    );
  }
}

function settled(client: RedisClient, timeout: number, reason: () => string): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = (error?: Error): void => {
      clearTimeout(timer);
      client.off("ready", ready);
      if (error) reject(error);
      else resolve();
    };
    const ready = (): void => finish();
    const timer = setTimeout(
      () => finish(new Error(`Redis did not answer within ${timeout} ms: ${reason()}`)),
      timeout,
    );
    client.once("ready", ready);
  });
}
