/**
 * A node: its connections, its sessions, its lease and its end. It decides nothing about pairs (the matcher does) and
 * nothing about messages (the session does); it carries things from one to the other.
 */
import type { Envelope, LinkEvents } from "../links/link.ts";
import type { Counts } from "../matching/matcher.ts";
import { CloseCode } from "../protocol/close-codes.ts";
import type { ClientMessage, Hello } from "../protocol/messages.ts";
import { Addresses } from "./addresses.ts";
import { Connection } from "./connection.ts";
import type { ConnectionOwner, ConnectionRates } from "./connection.ts";
import type { Came } from "./came.ts";
import type { NodeParts, Refusal } from "./contracts.ts";
import { Door } from "./door.ts";
import { relayedOnly } from "./hidden-visitor.ts";
import { hideInData, hideInText } from "./hide-addresses.ts";
import { Lease } from "./lease.ts";
import { signalOfLan } from "./private-addresses.ts";
import { Ring } from "./ring.ts";
import { Sessions } from "./sessions.ts";
import type { Socket } from "./socket.ts";

const SWEEP_MS = 60_000;
/** How long what happened to the other side of a pair may stay unknown while the link to its node is down. */
const APART_MS = 3_000;
/** How often a session is held against the store. */
const CHECK_MS = 60_000;
/** So many who wait are few: they are told of each that comes and goes. To more, `status` says it soon enough. */
const FEW = 20;

export class Node implements ConnectionOwner, LinkEvents {
  readonly id: string;
  readonly clock: NodeParts["clock"];
  readonly rates: ConnectionRates;
  readonly addresses: Addresses;
  readonly #parts: NodeParts;
  readonly #sessions: Sessions;
  readonly #door: Door;
  readonly #lease: Lease;
  readonly #connections = new Set<Connection>();
  readonly #heartbeats: Ring<Connection>;
  readonly #statuses: Ring<Connection>;
  readonly #checks: Ring<Connection>;
  readonly #renewals: Ring<Connection> | undefined;
  #stopSweeping: (() => void) | undefined;
  #stopAsking: (() => void) | undefined;
  /** Where the relays were when somebody was last told, and who has not been told of where they are since. */
  #whereabouts: string | undefined;
  #untold = new Set<Connection>();
  #storeRefuses = false;
  #draining = false;
  #drained: (() => void) | undefined;

  constructor(parts: NodeParts) {
    const { clock, rules } = parts;
    this.#parts = parts;
    this.id = parts.id;
    this.clock = clock;
    this.rates = rules.rates;
    this.addresses = new Addresses(rules.addressRates, parts.random(32));
    this.#sessions = new Sessions(parts, {
      counts: () => this.#counts(),
      onFenced: () => this.#lease.renewSoon(),
      isStale: () => this.#lease.isStale,
    });
    this.#door = new Door(parts, this.#sessions, this.addresses, (connection, message, raw) => {
      this.onMessage(connection, message, raw);
    });
    this.#lease = new Lease(parts, {
      counts: () => this.#here(),
      onFresh: () => this.#sessions.forgotten(),
      onOrphan: (node, orphan) => this.#sessions.orphaned(node, orphan),
      onRenewed: () => {
        this.#storeObeys();
        this.#tellFew();
      },
      onFailed: (call, error) => {
        parts.metrics.storeFailed(call);
        parts.log.debug({ err: error, call }, "the store did not answer");
        if (parts.store.ready && this.#lease.isStale) this.#storeDisobeys(error);
      },
    });
    this.#heartbeats = new Ring(clock, rules.heartbeat, (connections) => {
      for (const connection of connections) connection.checkHeartbeat();
    });
    this.#statuses = new Ring(clock, rules.status, (connections) => {
      this.#tellNumbers([...connections].filter(({ session }) => session !== undefined));
      this.#followRelays(connections);
    });
    this.#checks = new Ring(clock, CHECK_MS, (connections) => {
      // Who is in a pair does without the store, and what is asked of one that is away only holds up what comes next.
      if (!parts.store.ready || !this.#lease.isHeld) return;
      for (const { session } of connections) if (session !== undefined) this.#sessions.check(session);
    });
    const { ice } = parts;
    this.#whereabouts = ice.whereabouts?.();
    if (ice.renewEvery !== undefined) {
      this.#renewals = new Ring(clock, ice.renewEvery, (connections) => this.#tellServers(connections));
    }
  }

  /** Tells of relays that have moved, a slice of the visitors at a time. */
  #followRelays(connections: Iterable<Connection>): void {
    const whereabouts = this.#parts.ice.whereabouts?.();
    if (whereabouts !== this.#whereabouts) {
      this.#whereabouts = whereabouts;
      this.#untold = new Set(this.#connections);
    }
    for (const connection of connections)
      if (this.#untold.delete(connection)) this.#tellServers([connection]);
  }

  #tellServers(connections: Iterable<Connection>): void {
    const { ice } = this.#parts;
    for (const connection of connections) {
      const { session, came } = connection;
      if (session !== undefined) connection.send({ type: "ice", iceServers: ice.servers(session, came) });
    }
  }

  /** Takes the node's lease and keeps it. Resolves once the store was asked for the first time. */
  async start(): Promise<void> {
    this.#stopSweeping = this.clock.every(SWEEP_MS, () => this.addresses.sweep(this.clock.now()));
    this.#stopAsking = this.clock.every(APART_MS, () => {
      for (const { node, state } of this.#parts.link.peers())
        if (state === "lost") this.#sessions.missed(node);
    });
    await this.#lease.start();
  }

  /** Why this node cannot serve right now; empty when it can. */
  notReady(): string[] {
    const reasons: string[] = [];
    if (this.#draining) reasons.push("draining");
    // A find is turned away as soon as the connection is gone; the lease tells it up to a second later, or not at all.
    if (!this.#parts.store.ready || !this.#lease.isHeld) reasons.push("redis");
    const silent = this.#parts.link.silentPeers();
    if (silent.length > 0) reasons.push(`links: ${silent.join(", ")}`);
    return reasons;
  }

  get isDraining(): boolean {
    return this.#draining;
  }

  /** For metrics. */
  numbers(): {
    connections: number;
    sessions: number;
    waiting: number;
    pairedSessions: number;
  } {
    const { size, waiting, paired } = this.#sessions.hub;
    return {
      connections: this.#connections.size,
      sessions: size,
      waiting: waiting.size,
      pairedSessions: paired,
    };
  }

  /**
   * Asks every visitor to connect elsewhere within `spread` ms, closes who is left then, gives the lease up and
   * resolves. Calls go on: they are between the visitors. Their sessions can be resumed for the grace.
   */
  async drain(spread: number): Promise<void> {
    if (this.#draining) return;
    this.#draining = true;
    const text = JSON.stringify({ type: "drain", after: spread });
    for (const connection of this.#connections) if (connection.session) connection.sendRaw(text);
    if (spread > 0 && this.#connections.size > 0) {
      await new Promise<void>((resolve) => {
        const cancel = this.clock.after(spread, resolve);
        this.#drained = () => {
          cancel();
          resolve();
        };
      });
    }
    for (const connection of this.#connections)
      connection.close(CloseCode.draining, "this node is going away");
    this.#stopSweeping?.();
    this.#stopAsking?.();
    this.#heartbeats.stop();
    this.#statuses.stop();
    this.#checks.stop();
    this.#renewals?.stop();
    await this.#lease.giveUp();
    this.#sessions.close();
  }

  /** It is out of memory or of disk, say. That it is away is told by whoever connects to it. */
  #storeDisobeys(error: unknown): void {
    if (this.#storeRefuses) return;
    this.#storeRefuses = true;
    const reason = error instanceof Error ? error.message : String(error);
    this.#parts.log.warn({ reason }, "Redis does not do what it is asked for; calls go on, searches wait");
  }

  #storeObeys(): void {
    if (!this.#storeRefuses) return;
    this.#storeRefuses = false;
    this.#parts.log.info({}, "Redis does what it is asked for again");
  }

  #here(): Counts {
    return { online: this.#connections.size, waiting: this.#sessions.hub.waiting.size };
  }

  /** The numbers that visitors are told: what is here now, and what was elsewhere a moment ago. */
  #counts(): Counts {
    const { online, waiting } = this.#here();
    const { elsewhere } = this.#lease;
    return { online: online + elsewhere.online, waiting: waiting + elsewhere.waiting };
  }

  /** Where few wait, each of them hears at once that one has come or gone: their pages say who else looks. */
  #tellFew(): void {
    const { online, waiting } = this.#counts();
    if (waiting > FEW) return;
    const connections = [...this.#sessions.hub.waiting].flatMap(({ connection }) => connection ?? []);
    this.#tellNumbers(connections.filter(({ told }) => told?.online !== online || told.waiting !== waiting));
  }

  #tellNumbers(connections: readonly Connection[]): void {
    const counts = this.#counts();
    const text = JSON.stringify({ type: "status", ...counts });
    for (const connection of connections) {
      connection.told = counts;
      connection.sendRaw(text);
    }
  }

  // Connections

  /** A new WebSocket of a client at `address` (a key from `addresses`). */
  accept(socket: Socket, address: string | undefined, came?: Came): Connection {
    const connection = new Connection(socket, address, this);
    connection.came = came;
    this.#connections.add(connection);
    this.#heartbeats.add(connection);
    this.#statuses.add(connection);
    this.#checks.add(connection);
    this.#renewals?.add(connection);
    return connection;
  }

  onClosed(connection: Connection): void {
    this.#connections.delete(connection);
    this.#heartbeats.remove(connection);
    this.#statuses.remove(connection);
    this.#untold.delete(connection);
    this.#checks.remove(connection);
    this.#renewals?.remove(connection);
    this.#door.forget(connection);
    const seat = connection.session === undefined ? undefined : this.#sessions.hub.get(connection.session);
    if (seat?.connection === connection) {
      seat.connection = undefined;
      this.#sessions.dispatch(seat, { type: "detached" });
    }
    if (this.#connections.size === 0) this.#drained?.();
  }

  onRefused(what: Refusal): void {
    this.#parts.metrics.refused(what);
  }

  onHello(connection: Connection, hello: Hello): void {
    if (this.#draining) connection.close(CloseCode.draining, "this node is going away");
    else this.#door.hello(connection, hello);
  }

  onMessage(connection: Connection, message: ClientMessage, raw: Uint8Array): void {
    const seat = connection.session === undefined ? undefined : this.#sessions.hub.get(connection.session);
    if (!seat) {
      this.#door.early(connection, message, raw);
      return;
    }
    if (seat.connection !== connection) return; // superseded in this very turn
    if (message.type === "signal" && this.#isHidden(message)) {
      const data = hideInData(message.data, relayedOnly);
      if (data === undefined) return;
      const hidden: ClientMessage = { type: "signal", pair: message.pair, data };
      const bytes = Buffer.from(JSON.stringify(hidden));
      this.#sessions.dispatch(seat, { type: "message", message: hidden, raw: bytes });
      return;
    }
    if (message.type !== "find") {
      const said = message.type === "signal" && connection.lan ? signalOfLan(raw) : raw;
      this.#sessions.dispatch(seat, { type: "message", message, raw: said });
      return;
    }
    if (message.offer !== undefined && this.#isHidden(message))
      message.offer = hideInText(message.offer, relayedOnly);
    const wait = this.addresses.take(connection.address, "finds", this.clock.now());
    if (wait > 0) {
      connection.refuse(wait);
      return;
    }
    const read = this.#parts.readWish(message);
    if ("wish" in read) this.#sessions.dispatch(seat, { type: "message", message, raw, wish: read.wish });
    else
      connection.reject({
        code: "invalid_message",
        message: `${read.field}: ${read.message}`,
        field: read.field,
      });
  }

  /** Whether the visitor's address must not reach the other side (S6). */
  #isHidden({ relay }: { relay?: boolean }): boolean {
    return relay === true || this.#parts.ice.policy === "relay";
  }

  // The link

  onEnvelope(from: string, envelope: Envelope): void {
    this.#sessions.receive(from, envelope);
  }

  onLoss(from: string, lost: number): void {
    this.#parts.metrics.linkLost(lost);
    this.#parts.log.warn({ node: from, lost }, "messages of another node were lost");
    this.#sessions.missed(from);
  }

  onPeer(node: string, up: boolean): void {
    // No warning: who stops as told takes its link along, before its lease tells so.
    this.#parts.log.info({ node }, up ? "linked with another node" : "the link to another node is down");
    // What was said is lost when it goes down, and was said to nobody when it comes up.
    this.#sessions.missed(node);
  }

  /** Another node has begun to listen to this one: time to look who there is. */
  onNewcomer(): void {
    this.#lease.renewSoon();
  }
}
