import type { Socket } from "node:net";
import { Cluster, Redis } from "ioredis";
import type { RedisOptions } from "ioredis";
import { parseRedisAddress } from "./address.ts";
import type { RedisAddress } from "./address.ts";
import { reasonOf } from "./reason.ts";
import type { Reason } from "./reason.ts";
import type { RedisClient } from "./scripts.ts";
import { requireServer } from "./server-version.ts";

export interface RedisConnection {
  /** The client of this moment: ask for it at each use, since one that has ended for good is replaced. */
  readonly client: RedisClient;
  /**
   * Whether Redis can be asked now. Without it every command is rejected at once. Of a Cluster it says that some of
   * its servers can be: commands are also rejected while the one that they are for is away.
   */
  readonly ready: boolean;
  /**
   * Resolves once Redis answers and is new enough; rejects with a message for people when it is too old, refuses us,
   * has not answered within `timeout` ms, or `stopping` tells that nobody waits for it. The connection goes on trying all
   * the same.
   */
  check(timeout: number, stopping?: AbortSignal): Promise<void>;
  /** The address by which this machine reaches Redis; undefined over a unix socket or while there is no connection. */
  localAddress(): string | undefined;
  /** Those of the Redis servers; none over a unix socket or while there is no connection. */
  remoteAddresses(): string[];
  /** Stops trying, and ends the connection once what was sent is answered. */
  close(): Promise<void>;
}

export interface RedisEvents {
  /** Redis can be asked from now on. */
  onUp?(): void;
  /** Redis cannot be asked from now on. The reason is for people and holds no secret. */
  onDown?(reason: string): void;
  /** A check has to wait for a while. The reason is as that of `onDown`; it comes as soon as there is one. */
  onWaiting?(reason: string): void;
}

const NOT_YET: Reason = { text: "not connected yet", final: false };

/** Somebody who watches a start should not wonder for longer. */
const PATIENCE_MS = 1_000;

/**
 * Connects to Redis, for ever: whatever happens to the server, the next one that listens there, that the Sentinels name
 * or that the Cluster elects is used.
 *
 * Nothing waits in this process for a Redis that is away: a command is rejected at once while there is no connection,
 * when the connection breaks before the answer, and after a second without one (it may still have been done then).
 * In a Cluster a command is sent again a few times, within that second, when its server has gone or given up its slot.
 * @param target as `parseRedisAddress` takes it
 * @param readsOnly whether a replica will do
 * @throws Error naming what is wrong with `target`, without its password
 */
export function connectRedis(target: string, events: RedisEvents = {}, readsOnly = false): RedisConnection {
  const address = parseRedisAddress(target);
  const watching = new Set<() => void>();
  let closed = false;
  let up = false;
  let reason: Reason = NOT_YET;
  const changed = (): void => {
    for (const look of watching) look();
  };

  const open = (): RedisClient => {
    /** What went wrong since the last attempt to connect began. */
    let trouble: Error | undefined;
    const client = clientOf(address, (error) => (trouble = error));
    let bySentinels: Error[] = [];
    const fell = (): void => {
      if (!closed) reason = reasonOf(trouble, address, up);
      if (up) {
        up = false;
        events.onDown?.(reason.text);
      }
      changed();
    };
    client.on("connecting", () => (trouble = undefined));
    client.on("ready", () => {
      up = true;
      bySentinels = [];
      events.onUp?.();
      changed();
    });
    client.on("sentinelError", (error: Error) => void bySentinels.push(error));
    // Without a listener an error would end the process.
    client.on("error", (error: Error & { lastNodeError?: Error }) => {
      trouble = error.lastNodeError ?? error;
      if (error.message.startsWith("All sentinels")) {
        // One that says what is wrong tells more than one that is away.
        trouble = bySentinels.find((each) => reasonOf(each, address).final) ?? bySentinels.at(-1) ?? error;
        bySentinels = [];
      }
      // The Sentinels are asked again without a close in between.
      if (!up) reason = reasonOf(trouble, address);
      changed();
    });
    client.on("close", fell);
    client.once("end", () => {
      fell();
      if (!closed) connection.client = open();
    });
    return client;
  };

  const streams = (): Partial<Socket>[] => {
    const { client } = connection;
    const servers = client instanceof Cluster ? client.nodes("master") : [client];
    return servers.flatMap(({ stream }) => stream ?? []);
  };
  const connection: { -readonly [Key in keyof RedisConnection]: RedisConnection[Key] } = {
    client: undefined as unknown as RedisClient,
    get ready() {
      return up;
    },
    async check(timeout, stopping) {
      await new Promise<void>((resolve, reject) => {
        let saysWhy = false;
        const finish = (error?: Error): void => {
          clearTimeout(timer);
          clearTimeout(patience);
          watching.delete(look);
          stopping?.removeEventListener("abort", look);
          if (error) reject(error);
          else resolve();
        };
        const look = (): void => {
          if (stopping?.aborted) finish(new Error("Redis is waited for no longer"));
          else if (up) finish();
          else if (reason.final) finish(new Error(`Redis cannot be used: ${reason.text}`));
          else if (saysWhy && reason !== NOT_YET) {
            saysWhy = false;
            events.onWaiting?.(reason.text);
          }
        };
        const patience = setTimeout(() => {
          saysWhy = true;
          look();
        }, PATIENCE_MS);
        const timer = setTimeout(
          () => finish(new Error(`Redis did not answer within ${timeout} ms: ${reason.text}`)),
          timeout,
        );
        watching.add(look);
        stopping?.addEventListener("abort", look);
        look();
      });
      await requireServer(connection.client, address, readsOnly);
    },
    localAddress: () => streams().find(({ localAddress }) => localAddress !== undefined)?.localAddress,
    remoteAddresses: () => streams().flatMap(({ remoteAddress }) => remoteAddress ?? []),
    async close() {
      closed = true;
      const { client } = connection;
      await client.quit().catch(() => undefined);
      client.disconnect();
    },
  };
  connection.client = open();
  return connection;
}

/** For ever: 50 ms at first, at most 2 s, with a spread so that the nodes of a cluster do not come all at once. */
const backoff = (times: number): number =>
  Math.min(2_000, 50 * 2 ** Math.min(times, 6)) * (0.75 + Math.random() / 2);

/** A find has to be answered or rejected within about a second, so that its node can tell the visitor. */
const FAIL_FAST: RedisOptions = {
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  commandTimeout: 1_000,
  connectTimeout: 2_000,
  // A machine that has vanished closes nothing: without this its successor would wait for TCP to give up.
  socketTimeout: 2_500,
  retryStrategy: backoff,
  connectionName: "chatrandom",
  noDelay: true,
};

/** `demoted` is told of a master that was made a replica; it is left for whatever is found at its address then. */
function clientOf(address: RedisAddress, demoted: (error: Error) => void): RedisClient {
  const common: RedisOptions = {
    ...FAIL_FAST,
    reconnectOnError(error) {
      // Old servers put the word in the middle when it comes out of a script.
      const isReplica = error.message.includes("READONLY");
      if (isReplica) demoted(error);
      return isReplica;
    },
  };
  if (address.kind === "socket") return new Redis({ ...common, path: address.path });
  const { hosts, username, password, tls } = address;
  const reached: RedisOptions = {
    ...common,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(tls && { tls: {} }),
  };
  switch (address.kind) {
    case "single":
      return new Redis({ ...reached, ...hosts[0]!, db: address.db });
    case "sentinel": {
      const { name, db, sentinelUsername, sentinelPassword } = address;
      return new Redis({
        ...reached,
        sentinels: [...hosts],
        name,
        db,
        ...(sentinelUsername !== undefined && { sentinelUsername }),
        ...(sentinelPassword !== undefined && { sentinelPassword }),
        ...(tls && { enableTLSForSentinelMode: true, sentinelTLS: {} }),
        sentinelRetryStrategy: backoff,
        sentinelCommandTimeout: 1_000,
        // It is racy: now and then the client ends for good.
        failoverDetector: false,
      });
    }
    case "cluster":
      return new Cluster([...hosts], {
        redisOptions: reached,
        enableOfflineQueue: false,
        clusterRetryStrategy: backoff,
        maxRedirections: 5,
        // Else nobody would ask again who has the slots of a server that hangs.
        slotsRefreshInterval: 3_000,
        // Names stay names, which their certificates are for.
        dnsLookup: (host, found) => found(null, host),
      });
  }
}
