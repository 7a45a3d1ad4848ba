/** The composition root: the only file that knows all implementations. */
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { realClock } from "./clock.ts";
import type { Config } from "./config/options.ts";
import { matchingRules, nodeRules } from "./config/rules.ts";
import { keepAddonsIn } from "./embedded/addon.ts";
import { privateDirectories } from "./embedded/extract.ts";
import { pageFiles } from "./embedded/page-files.ts";
import { pause } from "./embedded/program.ts";
import { startEmbeddedRedis } from "./embedded/redis.ts";
import { clientOf } from "./http/client.ts";
import { startDomainCheckServer } from "./http/domain-check.ts";
import { createMetrics } from "./http/metrics.ts";
import { namedPage } from "./http/named-page.ts";
import { startHttp } from "./http/server.ts";
import { websocketUpgrade } from "./http/websocket.ts";
import { Failure } from "./failure.ts";
import { requireCluster } from "./links/cluster.ts";
import { listenEndpoint } from "./links/endpoint.ts";
import type { Link, LinkEvents } from "./links/link.ts";
import { noLink } from "./links/no-link.ts";
import { redisRegistry } from "./links/redis-registry.ts";
import type { NodeCard, Registry } from "./links/registry.ts";
import type { Logger } from "./log.ts";
import { RedisMatcher } from "./matching/redis-matcher.ts";
import { readWish } from "./matching/wish.ts";
import { redisReports } from "./moderation/reports.ts";
import { newNodeId } from "./node/node-id.ts";
import { Node } from "./node/node.ts";
import { withoutPassword } from "./redis/address.ts";
import { connectRedis } from "./redis/client.ts";
import type { RedisConnection } from "./redis/client.ts";
import { PREFIX } from "./redis/keys.ts";
import { openRelayFor, type SharedRelay } from "./relay/embedded-relay.ts";
import { relayIce } from "./relay/ice-servers.ts";
import { otherRelays } from "./relay/other-relays.ts";
import { type RegularTest, testRegularly } from "./relay/regular-test.ts";
import { useRelay } from "./relay/use.ts";
import { roomFor } from "./room.ts";
import { shown, type Shown } from "./tls/certificate.ts";
import type { CertificateStore } from "./tls/certificate-store.ts";
import { dataDirStore } from "./tls/data-dir-store.ts";
import { type Https, openHttps } from "./tls/open.ts";
import { redisStore } from "./tls/redis-store.ts";
import { VERSION } from "./version.ts";
import type { Metrics, Scraped, Share } from "./workers/messages.ts";

export interface Running {
  /** Where a browser on this machine finds the page. */
  readonly url: string;
  readonly port: number;
  readonly host: string;
  /** What HTTPS shows at first; undefined where it is off. */
  readonly certificate?: Shown;
  /** The embedded relay; undefined where there is none. */
  readonly relay?: SharedRelay;
  /** Drains, then ends everything that was started. Calling it again is fine. */
  stop(): Promise<void>;
  /** Resolves, and never rejects, when serving cannot go on. */
  readonly failed: Promise<Error>;
}

/** A node, alone or one of the workers of an appliance. */
export interface RunningNode extends Running {
  /** Its own, also when its scrape answers for all workers. */
  metrics(): Promise<Metrics>;
}

/** What makes the node one of several workers; see `appliance.ts`. */
export interface Worker {
  readonly share: Share;
  /** The relay of all workers as it is now; undefined where there is none. */
  relay(): SharedRelay | undefined;
  /** The metrics of all workers. */
  scrape(): Promise<Scraped>;
}

const REDIS_TIMEOUT_MS = 10_000;
/** Somebody of another machine who has died is waited for until the lease runs out; nobody is for ever. */
const WORKER_READY_MS = 10_000;

/**
 * Runs one node: `serve` with a Redis of its own, `join` on one that several nodes share. With `worker` it is one of
 * several on this machine. Throws a `Failure` when it cannot start, or when `stopping` tells that it need not any more;
 * nothing is left running then.
 */
export async function run(
  kind: "serve" | "join",
  config: Config,
  log: Logger,
  stopping: AbortSignal,
  worker?: Worker,
): Promise<RunningNode> {
  const share = worker?.share;
  const undo: (() => Promise<void> | void)[] = [];
  let stopped: Promise<void> | undefined;
  let ending = false;
  const endAll = async (): Promise<void> => {
    ending = true;
    for (const end of undo.splice(0).reverse()) await end();
  };

  try {
    if (kind === "join") requireCluster(config);
    let target = share?.redis ?? config.redis;
    if (kind === "serve" && !share) {
      const embedded = await startEmbeddedRedis({
        dataDir: config.data_dir,
        maxMemory: config.embedded.max_memory,
        log,
        stopping,
      });
      undo.push(() => embedded.stop());
      target = embedded.path;
    }
    let wasAway = false;
    const redis = connectRedis(target, {
      onUp: () => {
        if (wasAway) log.info({}, "Redis is back");
        else log.debug({}, "connected to Redis");
      },
      onDown: (reason) => {
        wasAway = true;
        if (!ending) log.warn({ reason }, "Redis is away; calls go on, searches wait for it");
      },
      onWaiting: (reason) => log.warn({ reason }, "waiting for Redis"),
    });
    undo.push(() => redis.close());
    try {
      await redis.check(REDIS_TIMEOUT_MS, stopping);
    } catch (error) {
      if (kind === "serve") throw error;
      throw new Failure(`${withoutPassword(target)}: ${(error as Error).message}. Check --redis.`, 1, {
        cause: error,
      });
    }

    const opened = share ? undefined : await openRelayFor(kind, config, log, stopping);
    undo.push(() => opened?.stop());
    const relay = () => (worker ? worker.relay() : opened?.shared());
    const id = share?.node ?? newNodeId();
    const matcher = new RedisMatcher({
      redis,
      prefix: PREFIX,
      rules: matchingRules(config),
    });
    if (share?.before !== undefined) await matcher.retire(share.before);
    if (kind === "serve") await retireEarlierRun(matcher, redisRegistry(redis, PREFIX), share);
    const metrics = createMetrics(() => node.numbers());
    const admitted = { visitors: config.session.max, streams: config.turn.max_allocations };
    const room = roomFor(admitted, { clock: realClock, log });
    const link =
      kind === "join" || share
        ? await openLink(id, config, share?.link, redis, {
            onEnvelope: (from, envelope) => node.onEnvelope(from, envelope),
            onLoss: (from, lost) => node.onLoss(from, lost),
            onPeer: (peer, up) => node.onPeer(peer, up),
            onNewcomer: () => node.onNewcomer(),
          })
        : noLink(id);
    undo.push(() => link.close());
    const card: NodeCard = {
      ...link.self,
      version: VERSION,
      machine: hostname(),
      startedAt: Date.now(),
      get links() {
        const peers = link.peers();
        return { up: peers.filter(({ state }) => state === "up").length, of: peers.length };
      },
      get relay() {
        const now = relay();
        return now && now.reach !== "this machine" ? { hosts: now.hosts, port: now.port } : undefined;
      },
    };
    const others = otherRelays(redisRegistry(redis, PREFIX, card), relay);
    const ice = relayIce({ ...config, relay, others: () => others.places(), wallClock: Date.now });
    const node: Node = new Node({
      id,
      matcher,
      link,
      registry: others.registry,
      store: redis,
      ice,
      reports: redisReports(redis, PREFIX),
      metrics,
      log,
      clock: realClock,
      random: randomBytes,
      wallClock: Date.now,
      readWish,
      rules: nodeRules(config, room.visitors),
      settings: { name: config.page.name },
      onFull: room.noVisitor,
    });
    undo.push(() => node.drain(0));
    await node.start();
    const foreign = link.peers().filter(({ state }) => state === "foreign");
    if (foreign.length > 0) {
      throw new Failure(
        "the other nodes on this Redis have another link secret: a node needs that of its cluster",
        2,
      );
    }

    if (share) await ready(node, stopping);

    const https = await openHttpsFor(kind, config, share, redis, log, undo);
    const client = clientOf(config.http.trusted_proxies, config.http.allowed_origins);
    const { addresses } = node;
    const shared = relay();
    const used =
      shared &&
      useRelay(shared, {
        metrics,
        addresses,
        room,
        clock: realClock,
        ...(opened && { counts: () => opened.counts() }),
      });
    let relayTest: RegularTest | undefined;
    const http = await startHttp(
      {
        client,
        log,
        pageFiles: namedPage(pageFiles(), config.page.name),
        health: {
          notReady: () => node.notReady(),
          details: async () => ({
            relay: used ? await used.state() : "none",
            relayTest: relayTest?.health,
          }),
          metrics: () => (worker ? worker.scrape() : metrics.text()),
        },
        reusePort: share !== undefined,
        room: {
          most: (arrivals) => (used ? room.beside(used.streams, arrivals) : room.connections),
          full() {
            metrics.dropped("full");
            room.noConnection();
          },
        },
        upgrade: websocketUpgrade(
          {
            accept: (socket, address, came) => node.accept(socket, address, came),
            keyOf: (address) => addresses.keyOf(address),
            takeConnection: (key) => addresses.take(key, "connections", realClock.now()),
            isOpen: () => !node.isDraining,
          },
          client,
        ),
        https: https && {
          ...https,
          ...(used && { onStun: (socket) => used.take(socket) }),
          clock: realClock,
          dropped: (reason) => metrics.dropped(reason),
          name: config.page.name,
        },
      },
      config.host,
      share?.port ?? config.port,
    );
    undo.push(async () => {
      const closed = http.close();
      used?.close();
      await closed;
    });
    if (https) {
      const certificateUntil = () => https.certificates.current.until;
      metrics.watchHttps(() => ({ arrivals: http.arrivals, certificateUntil: certificateUntil() }));
    }
    // A node that is alone has nowhere to send its visitors: they come back when it does. Workers end together.
    const isAlone = () => kind === "serve" || link.peers().length === 0;
    undo.push(() => node.drain(isAlone() ? 0 : config.drain_timeout));

    // Last: who comes to the page meanwhile is served already.
    await opened?.start();
    relayTest = testRegularly({
      servers: () => ice.servers(`self-test-${id}`),
      nat: () => relay()?.nat,
      whereabouts: () => ice.whereabouts?.() ?? "",
      clock: realClock,
      wallClock: Date.now,
      log,
    });
    undo.push(() => relayTest?.stop());
    metrics.watchRelayTest(() => relayTest?.health?.servers ?? []);
    return {
      url: `http://localhost:${http.port}/`,
      port: http.port,
      host: http.host,
      certificate: https && shown(https.certificates.current),
      relay: relay(),
      failed: http.failed,
      metrics: () => metrics.collect(),
      stop: () => (stopped ??= endAll()),
    };
  } catch (error) {
    await endAll();
    throw error;
  }
}

/**
 * Waits until a worker can serve. Nobody stands before the workers and looks at `/readyz`: whoever listens on their port
 * gets visitors.
 */
async function ready(node: Node, stopping: AbortSignal): Promise<void> {
  const deadline = realClock.now() + WORKER_READY_MS;
  const waits = (): boolean => node.notReady().length > 0 && realClock.now() < deadline && !stopping.aborted;
  while (waits()) await pause(realClock, 5);
}

/**
 * The embedded Redis takes the nodes of a run that was killed a moment ago to live. They are gone, since the data directory
 * is ours, and nobody may be matched with who waited there. Workers of this run have their sockets in one directory, made
 * for it, and say so before they can be seen.
 */
async function retireEarlierRun(
  matcher: RedisMatcher,
  registry: Registry,
  share: Share | undefined,
): Promise<void> {
  const known = (await matcher.census(0)).nodes.map(({ node }) => node);
  const cards = share ? await registry.look(known) : [];
  const ours = cards.filter(({ endpoint }) => dirname(endpoint) === dirname(share!.link.listen));
  const gone = known.filter((id) => !ours.some(({ node }) => node === id));
  for (const node of gone) await matcher.retire(node);
  await registry.remove(gone);
}

async function openLink(
  node: string,
  { link, data_dir }: Config,
  shared: Share["link"] | undefined,
  redis: RedisConnection,
  events: LinkEvents,
): Promise<Link> {
  // Loaded only here: ZeroMQ costs a node that is alone a tenth of its start.
  // Before the import: that is when zeromq loads its addon.
  keepAddonsIn(privateDirectories(data_dir));
  const { openZmqLink } = await import("./links/zmq-link.ts");
  return openZmqLink({
    node,
    secret: shared?.secret ?? link.secret,
    listen: shared?.listen ?? listenEndpoint(link.bind, link.port),
    local: shared?.local,
    host: link.host || redis.localAddress() || "127.0.0.1",
    events,
    clock: realClock,
  });
}

async function openHttpsFor(
  kind: "serve" | "join",
  config: Config,
  share: Share | undefined,
  redis: RedisConnection,
  log: Logger,
  undo: (() => Promise<void> | void)[],
): Promise<Https | undefined> {
  const { domain, host, port, acme, link } = config;
  const of = { domain, authority: acme.directory, log };
  const store = (directory: string): CertificateStore => {
    const inRedis = redisStore({ ...of, redis, prefix: PREFIX, secret: share?.link.secret ?? link.secret });
    if (kind === "join") return inRedis;
    const here = dataDirStore({ ...of, directory, clock: realClock });
    if (!share) return here;
    // Workers share the data directory too, but who is asked by the authority and who renews is for Redis to say.
    const { putAnswer, dropAnswer, answer, lease, forgive } = inRedis;
    return { ...here, putAnswer, dropAnswer, answer, lease, forgive };
  };
  const https = await openHttps(config, {
    store,
    async listenForChecks(checks) {
      const origin = `https://${domain}${port === 443 ? "" : `:${port}`}`;
      const server = await startDomainCheckServer(
        { checks, origin, reusePort: share !== undefined },
        host,
        acme.http_port,
      );
      undo.push(() => server.close());
    },
    clock: realClock,
    wallClock: Date.now,
    random: Math.random,
    log,
  });
  if (https) undo.push(() => https.certificates.stop());
  return https;
}
