import { randomBytes } from "node:crypto";
import type { ClientOptions } from "ws";
import { afterAll, afterEach, beforeAll, vi } from "vitest";
import type { LoadedPageFile } from "../embedded/page-files.ts";
import { clientOf } from "../http/client.ts";
import { createMetrics } from "../http/metrics.ts";
import { startHttp } from "../http/server.ts";
import type { HttpServer } from "../http/server.ts";
import { websocketUpgrade } from "../http/websocket.ts";
import type { Link, LinkEvents } from "../links/link.ts";
import { noLink } from "../links/no-link.ts";
import { redisRegistry } from "../links/redis-registry.ts";
import { openZmqLink } from "../links/zmq-link.ts";
import type { Holder, Outcome, Rules } from "../matching/matcher.ts";
import { RedisMatcher } from "../matching/redis-matcher.ts";
import { DEFAULT_RULES } from "../matching/rules.ts";
import { readWish } from "../matching/wish.ts";
import { redisReports } from "../moderation/reports.ts";
import type { NodeParts, NodeRules } from "../node/contracts.ts";
import { Node } from "../node/node.ts";
import type { Hello, Mode } from "../protocol/messages.ts";
import { connectRedis } from "../redis/client.ts";
import type { RedisConnection } from "../redis/client.ts";
import { startTestRedis } from "../redis/test-server.ts";
import type { TestRedis } from "../redis/test-server.ts";
import { realClock } from "../clock.ts";
import { StillClock } from "../still-clock.ts";
import { UnderWay } from "./under-way.ts";
import { Visitor } from "./visitor.ts";

/** The rates of the protocol (T7). A place lets more through unless a test asks for these. */
export const PROTOCOL_RATES: NodeRules["rates"] = {
  find: { burst: 10, perSecond: 1 },
  signal: { burst: 100, perSecond: 50 },
  other: { burst: 20, perSecond: 5 },
};

const ANY = { burst: 1e6, perSecond: 1e6 };
const RULES: NodeRules = {
  grace: 20_000,
  maxSessions: 20_000,
  heartbeat: 20_000,
  status: 15_000,
  renew: 1_000,
  lease: DEFAULT_RULES.lease,
  rates: { find: ANY, signal: ANY, other: ANY },
  addressRates: { connections: ANY, sessions: ANY, finds: ANY },
};

export interface PlaceOptions {
  /** Where Redis listens: a URL or the path of a socket. */
  redis: string;
  /** How many nodes; one by default. */
  nodes?: number;
  rules?: Partial<NodeRules>;
  matching?: Partial<Rules>;
  trustedProxies?: string[];
  allowedOrigins?: string[];
  pageFiles?: LoadedPageFile[];
  /** For how long, in real ms, what one node tells another is on its way, as on a busy machine. */
  lag?: number;
  /** The operator's rule for calls. */
  policy?: "all" | "relay";
  /** The address that a client counts under, in place of its own, which is loopback and counts for nothing. */
  addressOf?: () => string;
}

export interface PlaceNode {
  readonly node: Node;
  readonly http: HttpServer;
  readonly redis: RedisConnection;
  readonly origin: string;
  /** What the node logged, at every level. */
  readonly logged: { level: string; what: object; message: string }[];
  metrics(): Promise<string>;
  stop(): Promise<void>;
}

/** Gives a test file a Redis, and closes after each test what it has opened. */
export function places(): (options?: Partial<PlaceOptions>) => Promise<Place> {
  let redis: TestRedis;
  const open: Place[] = [];
  beforeAll(async () => {
    redis = await startTestRedis();
  });
  afterEach(async () => {
    for (const place of open.splice(0)) await place.close();
  });
  afterAll(() => redis.stop());
  return async (options) => {
    const place = await Place.open({ redis: redis.url, ...options });
    open.push(place);
    return place;
  };
}

/** How much time passes at once at most and at least; a lease lasts longer. */
const STEP_MS = { most: 2_000, least: 250 };

/**
 * Nodes that share a Redis, with their real HTTP servers on free ports, as strangers meet them. Time stands still until
 * `pass`, for the nodes and for the scripts in Redis, so a test says what is late and what is not.
 */
export class Place {
  readonly clock = new StillClock();
  readonly nodes: PlaceNode[] = [];
  /** Before all keys of this place. */
  readonly prefix = `${randomBytes(6).toString("hex")}:`;
  readonly matcher: RedisMatcher;
  readonly #options: PlaceOptions;
  readonly #visitors: Visitor[] = [];
  readonly #stops: (() => void)[] = [];
  readonly #secret = randomBytes(32).toString("hex");
  #nextNode = 0;
  /** How many questions of the nodes to the store are not answered yet. */
  #asked = 0;
  readonly #underWay = new UnderWay();
  readonly #redis: RedisConnection;

  private constructor(options: PlaceOptions) {
    this.#options = options;
    this.#redis = connectRedis(options.redis);
    this.matcher = this.#matcherOn(this.#redis);
  }

  static async open(options: PlaceOptions): Promise<Place> {
    const place = new Place(options);
    await place.#redis.check(5_000);
    for (let n = 0; n < (options.nodes ?? 1); n += 1) await place.#startNode();
    await place.#meet();
    return place;
  }

  /** The only node, or the first of several. */
  get first(): PlaceNode {
    return this.nodes[0]!;
  }

  get redis(): RedisConnection["client"] {
    return this.#redis.client;
  }

  /** A connection that has not said hello; to each node in turn unless told which. */
  async connect(options: ClientOptions & { node?: number } = {}): Promise<Visitor> {
    const { node = this.#nextNode++ % this.nodes.length, ...rest } = options;
    const visitor = await Visitor.connect(`${this.nodes[node]!.origin.replace("http", "ws")}/ws`, rest);
    this.#visitors.push(visitor);
    return visitor;
  }

  /** A visitor who was welcomed. */
  async visitor(fields: Omit<Hello, "type"> & { node?: number } = {}): Promise<Visitor> {
    const { node, ...hello } = fields;
    const visitor = await this.connect(node === undefined ? {} : { node });
    await visitor.hello(hello);
    return visitor;
  }

  /** Two visitors in a pair, which both nodes know the other to know of; the first is its offerer. */
  async pair(): Promise<[Visitor, Visitor, string]> {
    const answerer = await this.visitor();
    answerer.find();
    await answerer.next("waiting");
    const offerer = await this.visitor();
    offerer.find();
    const { pair } = await offerer.next("matched");
    await answerer.next("matched");
    await this.settle();
    return [offerer, answerer, pair];
  }

  /** Breaks a visitor's connection and waits until its node has noticed. */
  async drop(visitor: Visitor): Promise<void> {
    const before = this.connections;
    await visitor.drop();
    await this.until(() => this.connections < before);
  }

  /** A session on a node that lives by its lease and does nothing else: it tells nobody anything and hears nothing. */
  async ghost(): Promise<{ find(mode: Mode): Promise<Outcome> }> {
    const holder: Holder = {
      session: randomBytes(9).toString("hex"),
      node: "ghost",
      epoch: 1,
      device: "of a ghost",
    };
    const renew = () => this.matcher.renew("ghost", { online: 0, waiting: 0 });
    this.#stops.push(this.clock.every(1_000, () => void renew()));
    await renew();
    await this.matcher.open(holder);
    return {
      find: (mode) =>
        this.matcher.find(holder, { wish: { mode, interests: [], languages: [], strict: false } }),
    };
  }

  /** Drains the nodes one after the other and starts another in the place of each. */
  async replaceNodes(): Promise<void> {
    for (let n = 0; n < this.nodes.length; n += 1) await this.replaceNode(n);
  }

  async replaceNode(n: number): Promise<void> {
    await this.nodes[n]!.stop();
    await this.#startNode();
    this.nodes[n] = this.nodes.pop()!;
    await this.#meet();
  }

  /** What the nodes have counted together under a metric's name, with its labels or of all labels. */
  async count(metric: string): Promise<number> {
    const lines = (await Promise.all(this.nodes.map(({ metrics }) => metrics()))).join("\n").split("\n");
    const counted = lines.filter((line) => line.startsWith(`${metric} `) || line.startsWith(`${metric}{`));
    return counted.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
  }

  get connections(): number {
    return this.nodes.reduce((sum, { node }) => sum + node.numbers().connections, 0);
  }

  /** Waits for a condition. */
  async until(condition: () => boolean | Promise<boolean>): Promise<void> {
    await vi.waitUntil(condition, { timeout: 30_000, interval: 1 });
  }

  /**
   * Waits until what the nodes have asked Redis and told each other so far is answered and heard, and what comes of that.
   * Hazard: the links take real time. Were they not waited for, a clock that is moved might leave a match no time to be
   * heard of (M2), and it would be undone.
   */
  async settle(): Promise<void> {
    do {
      for (const { redis } of this.nodes) await redis.client.ping().catch(() => {});
      await new Promise((resolve) => void setImmediate(resolve));
    } while (this.#asked > 0 || !this.#underWay.isEmpty);
  }

  /** Lets time pass, a little at a time, and waits each time until what it set off is done. */
  async pass(ms: number): Promise<void> {
    await this.settle();
    const step = Math.min(STEP_MS.most, Math.max(STEP_MS.least, ms / 100));
    for (let left = ms; left > 0; left -= step) {
      this.clock.move(Math.min(left, step));
      await this.settle();
    }
  }

  async close(): Promise<void> {
    for (const stop of this.#stops) stop();
    for (const { socket } of this.#visitors) socket.terminate();
    for (const node of this.nodes) await node.stop();
    await this.#redis.close();
  }

  /** Waits until every node can serve. They learn of each other when they renew their leases. */
  async #meet(): Promise<void> {
    if (this.nodes.length > 1) await this.pass(RULES.renew);
    await this.until(() => this.nodes.every(({ node }) => node.notReady().length === 0));
  }

  async #startNode(): Promise<void> {
    const {
      redis: target,
      rules,
      trustedProxies = [],
      allowedOrigins = [],
      pageFiles = [],
      policy = "all",
      addressOf,
    } = this.#options;
    const id = randomBytes(9).toString("base64url");
    const redis = connectRedis(target);
    await redis.check(5_000);
    const logged: PlaceNode["logged"] = [];
    const write = (level: string) => (what: object, message: string) =>
      void logged.push({ level, what, message });
    const metrics = createMetrics(() => node.numbers());
    const log = { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
    const link = await this.#linkOf(id, () => node);
    const card = { ...link.self, version: "test", machine: "here", startedAt: 0 };
    const parts: NodeParts = {
      id,
      matcher: this.#counted(this.#matcherOn(redis)),
      link,
      registry: this.#counted(redisRegistry(redis, this.prefix, card)),
      store: redis,
      ice: { policy, servers: () => [{ urls: ["stun:stun.example:3478"] }] },
      reports: this.#counted(redisReports(redis, this.prefix)),
      metrics,
      log,
      clock: this.clock,
      random: randomBytes,
      wallClock: this.#now,
      readWish,
      rules: { ...RULES, ...rules },
      settings: { name: "Here" },
    };
    const node: Node = new Node(parts);
    await node.start();
    const client = clientOf(trustedProxies, allowedOrigins);
    const upgrade = websocketUpgrade(
      {
        accept: (socket, key, came) => node.accept(socket, key, came),
        keyOf: (address) => node.addresses.keyOf(addressOf?.() ?? address),
        takeConnection: (key) => node.addresses.take(key, "connections", this.clock.now()),
        isOpen: () => !node.isDraining,
      },
      client,
    );
    const health = { notReady: () => node.notReady(), metrics: () => metrics.text() };
    const http = await startHttp({ client, upgrade, health, pageFiles, log }, "127.0.0.1", 0);
    this.nodes.push({
      node,
      http,
      redis,
      logged,
      origin: `http://127.0.0.1:${http.port}`,
      metrics: async () => (await metrics.text()).text,
      stop: async () => {
        await node.drain(0);
        await http.close();
        await link.close();
        this.#underWay.forget(id);
        await redis.close();
      },
    });
  }

  /** Several nodes are linked by ZeroMQ as real ones are; its time is real, since the sockets' is. */
  async #linkOf(node: string, events: () => LinkEvents): Promise<Link> {
    if ((this.#options.nodes ?? 1) === 1) return noLink(node);
    const link = await openZmqLink({
      node,
      secret: this.#secret,
      listen: "tcp://127.0.0.1:0",
      clock: realClock,
      events: this.#underWay.heard(
        node,
        {
          onEnvelope: (from, envelope) => events().onEnvelope(from, envelope),
          onLoss: (from, lost) => events().onLoss(from, lost),
          onPeer: (peer, up) => events().onPeer(peer, up),
        },
        this.#options.lag,
      ),
    });
    this.#underWay.watch(link);
    return link;
  }

  /** The same, every call of which counts as asked until it is answered. */
  #counted<Store extends object>(store: Store): Store {
    const answered = () => void (this.#asked -= 1);
    return new Proxy(store, {
      get: (target, name) => {
        const method = Reflect.get(target, name) as (...args: unknown[]) => Promise<unknown>;
        return (...args: unknown[]) => {
          this.#asked += 1;
          const answer = method.apply(target, args);
          answer.then(answered, answered);
          return answer;
        };
      },
    });
  }

  #matcherOn(redis: RedisConnection): RedisMatcher {
    return new RedisMatcher({
      redis,
      prefix: this.prefix,
      rules: {
        ...DEFAULT_RULES,
        grace: this.#options.rules?.grace ?? RULES.grace,
        ...this.#options.matching,
      },
      now: this.#now,
    });
  }

  /** Milliseconds since the Unix epoch, as far as this place is concerned. */
  readonly #now = (): number => 1_750_000_000_000 + this.clock.now();
}
