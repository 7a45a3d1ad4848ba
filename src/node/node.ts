/**
 * A node: holds visitors' sessions and runs the effects that their steps ask for. It decides nothing about pairs (the
 * matcher does) and nothing about messages (the session does); it carries things from one to the other.
 */
import type { Envelope, LinkEvents } from "../links/link.ts";
import type { Counts, Orphan } from "../matching/matcher.ts";
import { CloseCode } from "../protocol/close-codes.ts";
import { PROTOCOL_VERSION } from "../protocol/messages.ts";
import type { ClientMessage, ErrorMessage, Hello, Welcome } from "../protocol/messages.ts";
import type { Partner } from "../session/match.ts";
import { deviceOf, newResumeToken, sessionIdOf } from "../session/resume-token.ts";
import { isEnding, newSession, restoredSession, step } from "../session/session.ts";
import type { Answer, Call, Effect, Event, Note } from "../session/session.ts";
import { Addresses } from "./addresses.ts";
import { ask } from "./ask.ts";
import { Connection } from "./connection.ts";
import type { ConnectionOwner, ConnectionRates } from "./connection.ts";
import type { NodeParts, Refusal } from "./contracts.ts";
import { Hub } from "./hub.ts";
import type { Seat } from "./hub.ts";
import { Lease } from "./lease.ts";
import { Ring } from "./ring.ts";
import type { Socket } from "./socket.ts";

/** Messages of a client that did not wait for its `welcome`, while the store is asked about its session. */
const MAX_EARLY_MESSAGES = 16;
const RESUME_RETRY_MS = 500;
/** RFC 6455: "try again later". */
const TRY_AGAIN_LATER = 1013;

interface Early {
  message: ClientMessage;
  raw: Uint8Array;
}

export class Node implements ConnectionOwner, LinkEvents {
  readonly id: string;
  readonly clock: NodeParts["clock"];
  readonly rates: ConnectionRates;
  readonly addresses: Addresses;
  readonly #parts: NodeParts;
  readonly #hub: Hub;
  readonly #connections = new Set<Connection>();
  readonly #opening = new Map<Connection, Early[]>();
  readonly #heartbeats: Ring<Connection>;
  readonly #statuses: Ring<Connection>;
  readonly #notes: { to: string; from: Partner; note: Note }[] = [];
  readonly #stops: (() => void)[] = [];
  readonly #lease: Lease;
  #delivering = false;
  #draining = false;
  #drained: (() => void) | undefined;

  constructor(parts: NodeParts) {
    const { clock, rules } = parts;
    this.#parts = parts;
    this.id = parts.id;
    this.clock = clock;
    this.rates = rules.rates;
    this.addresses = new Addresses(rules.addressRates, parts.random(32));
    this.#hub = new Hub(clock);
    this.#lease = new Lease(parts, {
      counts: () => ({ online: this.#connections.size, waiting: this.#hub.counts.waiting }),
      // The store took us for dead, or has lost everything: it is told again of every session.
      onFresh: () => {
        for (const seat of this.#hub.seats()) this.#dispatch(seat, { type: "forgotten" });
      },
      onOrphan: (node, orphan) => this.#orphaned(node, orphan),
      onFailed: (call, error) => this.#storeFailed(call, error),
    });
    this.#heartbeats = new Ring(clock, rules.heartbeat, (connections) => {
      for (const connection of connections) connection.checkHeartbeat();
    });
    this.#statuses = new Ring(clock, rules.status, (connections) => {
      const text = JSON.stringify({ type: "status", ...this.#counts() });
      for (const connection of connections) if (connection.session) connection.sendRaw(text);
    });
  }

  /** Takes the node's lease and keeps it. Resolves once the store was asked for the first time. */
  async start(): Promise<void> {
    this.#stops.push(this.clock.every(60_000, () => this.addresses.sweep(this.clock.now())));
    await this.#lease.start();
  }

  /** Why this node cannot serve right now; empty when it can. */
  notReady(): string[] {
    const reasons: string[] = [];
    if (this.#draining) reasons.push("draining");
    if (!this.#lease.isHeld) reasons.push("redis");
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
    total: Counts;
  } {
    const { waiting, paired } = this.#hub.counts;
    return {
      connections: this.#connections.size,
      sessions: this.#hub.size,
      waiting,
      pairedSessions: paired,
      total: this.#lease.total,
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
    for (const stop of this.#stops) stop();
    this.#heartbeats.stop();
    this.#statuses.stop();
    await this.#lease.giveUp();
  }

  /** The numbers that visitors are told: the cluster's of a moment ago, but never less than what is here now. */
  #counts(): Counts {
    return {
      online: Math.max(this.#lease.total.online, this.#connections.size),
      waiting: Math.max(this.#lease.total.waiting, this.#hub.counts.waiting),
    };
  }

  // Connections

  /** A new WebSocket of a client at `address` (a key from `addresses`). */
  accept(socket: Socket, address: string | undefined): Connection {
    const connection = new Connection(socket, address, this);
    this.#connections.add(connection);
    this.#heartbeats.add(connection);
    this.#statuses.add(connection);
    return connection;
  }

  onClosed(connection: Connection): void {
    this.#connections.delete(connection);
    this.#opening.delete(connection);
    this.#heartbeats.remove(connection);
    this.#statuses.remove(connection);
    const seat = connection.session === undefined ? undefined : this.#hub.get(connection.session);
    if (seat?.connection === connection) {
      seat.connection = undefined;
      this.#dispatch(seat, { type: "detached" });
    }
    if (this.#connections.size === 0) this.#drained?.();
  }

  onRefused(what: Refusal): void {
    this.#parts.metrics.refused(what);
  }

  onHello(connection: Connection, hello: Hello): void {
    if (this.#draining) {
      connection.close(CloseCode.draining, "this node is going away");
      return;
    }
    const token = hello.resume;
    if (token === undefined) {
      this.#openFresh(connection, hello);
      return;
    }
    const id = sessionIdOf(token);
    const seat = this.#hub.get(id);
    if (seat) {
      if (isEnding(seat.session)) this.#openFresh(connection, hello);
      else this.#attach(seat, connection, true);
      return;
    }
    this.#opening.set(connection, []);
    void this.#openElsewhere(connection, hello, token, id);
  }

  onMessage(connection: Connection, message: ClientMessage, raw: Uint8Array): void {
    const seat = connection.session === undefined ? undefined : this.#hub.get(connection.session);
    if (!seat) {
      const early = this.#opening.get(connection);
      if (early && early.length < MAX_EARLY_MESSAGES) early.push({ message, raw });
      else connection.refuse(1);
      return;
    }
    if (seat.connection !== connection) return; // superseded in this very turn
    if (message.type !== "find") {
      this.#dispatch(seat, { type: "message", message, raw });
      return;
    }
    const wait = this.addresses.take(connection.address, "finds", this.clock.now());
    if (wait > 0) {
      connection.refuse(wait);
      return;
    }
    const read = this.#parts.readWish(message);
    if ("wish" in read) this.#dispatch(seat, { type: "message", message, raw, wish: read.wish });
    else
      connection.reject({
        code: "invalid_message",
        message: `${read.field}: ${read.message}`,
        field: read.field,
      });
  }

  #openFresh(connection: Connection, hello: Hello): void {
    const { rules, random } = this.#parts;
    const wait = this.addresses.take(connection.address, "sessions", this.clock.now());
    if (wait > 0 || this.#hub.size >= rules.maxSessions) {
      const full = {
        code: "too_many_sessions",
        message: "too many sessions at the moment",
        retryAfter: Math.ceil(wait) || 10,
      };
      this.#parts.metrics.refused("too_many_sessions");
      connection.sendError(full as Omit<ErrorMessage, "type">);
      connection.close(TRY_AGAIN_LATER, full.message);
      return;
    }
    const token = newResumeToken(random);
    const id = sessionIdOf(token);
    const session = newSession(id, hello.device === undefined ? id : deviceOf(hello.device));
    this.#attach(this.#hub.add(session, token), connection, false);
  }

  /** The token is none of this node's sessions: asks the store, for as long as it takes and the client stays. */
  async #openElsewhere(connection: Connection, hello: Hello, token: string, id: string): Promise<void> {
    const { matcher, metrics, link } = this.#parts;
    let told = false;
    while (connection.isOpen) {
      try {
        const found = await matcher.resume(id, this.id);
        if (!connection.isOpen) {
          if (found) this.#dispatch(this.#seatOf(found, token), { type: "detached" });
        } else if (found) {
          metrics.resumed("elsewhere");
          const seat = this.#seatOf(found, token);
          if (found.previousNode !== this.id) {
            link.send(found.previousNode, { kind: "takeover", session: id, epoch: found.holder.epoch });
          }
          this.#attach(seat, connection, true);
          if (seat.session.state.name === "paired") {
            const { pair, partner } = seat.session.state.match;
            this.#tell(partner, { session: id, node: this.id }, { type: "moved", pair });
          }
        } else {
          this.#openFresh(connection, hello);
        }
        return;
      } catch (error) {
        this.#storeFailed("resume", error);
        if (!told)
          connection.sendError({
            code: "unavailable",
            message: "one moment, this goes on by itself",
            retryAfter: 1,
          });
        told = true;
        await new Promise<void>((resolve) => void this.clock.after(RESUME_RETRY_MS, resolve));
      }
    }
  }

  #seatOf(found: NonNullable<Awaited<ReturnType<NodeParts["matcher"]["resume"]>>>, token: string): Seat {
    const { holder, resumed } = found;
    const present = this.#hub.get(holder.session);
    if (!present) {
      return this.#hub.add(restoredSession(holder.session, holder.device, holder.epoch, resumed), token);
    }
    // Two connections brought the same token at once; the store has raised the epoch for each.
    this.#hub.replace(present, { ...present.session, epoch: Math.max(present.session.epoch, holder.epoch) });
    return present;
  }

  #attach(seat: Seat, connection: Connection, resumed: boolean): void {
    const older = seat.connection;
    seat.connection = connection;
    connection.session = seat.session.id;
    older?.close(CloseCode.superseded, "this session has a newer connection");
    this.#dispatch(seat, { type: "attached", resumed });
    const early = this.#opening.get(connection);
    this.#opening.delete(connection);
    for (const { message, raw } of early ?? []) this.onMessage(connection, message, raw);
  }

  // Steps and their effects

  #dispatch(seat: Seat, event: Event): void {
    const { session, effects } = step(seat.session, event, this.clock.now(), this.#parts.rules);
    if (session !== seat.session) this.#hub.replace(seat, session);
    for (const effect of effects) this.#run(seat, effect);
    this.#deliverNotes();
  }

  #run(seat: Seat, effect: Effect): void {
    const { connection, session } = seat;
    switch (effect.do) {
      case "relay":
        connection?.sendRaw(effect.raw);
        break;
      case "tell":
        this.#tell(effect.partner, { session: session.id, node: this.id }, effect.note);
        break;
      case "send":
        connection?.send(effect.message);
        break;
      case "call":
        void this.#call(seat, effect.call);
        break;
      case "timer":
        this.#hub.schedule(seat, effect.timer, effect.after, () => {
          this.#dispatch(seat, { type: "due", timer: effect.timer });
        });
        break;
      case "cancel":
        this.#hub.cancel(seat, effect.timer);
        break;
      case "welcome":
        connection?.send(this.#welcome(seat, effect.resumed));
        break;
      case "waiting":
        for (const what of effect.relaxed) this.#parts.metrics.relaxed(what);
        connection?.send({
          type: "waiting",
          since: effect.since,
          ...this.#counts(),
          relaxed: [...effect.relaxed],
        });
        break;
      case "report":
        void this.#report(seat, effect);
        break;
      case "count":
        if (effect.what === "heldDropped") this.#parts.metrics.heldDropped();
        else this.#parts.metrics.undone();
        break;
      case "close":
        connection?.close(effect.code, "this session goes on elsewhere");
        break;
      case "forget":
        this.#hub.remove(seat);
        break;
    }
  }

  #welcome(seat: Seat, resumed: boolean): Welcome {
    const { ice, settings } = this.#parts;
    const { state } = seat.session;
    return {
      type: "welcome",
      version: PROTOCOL_VERSION,
      resume: seat.token,
      resumed,
      state: state.name,
      ...(state.name === "paired"
        ? {
            pair: state.match.pair,
            mode: state.match.mode,
            role: state.match.role,
            common: state.match.common,
          }
        : {}),
      iceServers: ice.servers(seat.session.id),
      iceTransportPolicy: ice.policy,
      online: this.#counts().online,
      settings,
    };
  }

  async #call(seat: Seat, call: Call): Promise<void> {
    const { matcher, metrics } = this.#parts;
    const { id: session, device, epoch } = seat.session;
    let answer: Answer;
    try {
      answer = await ask(matcher, { session, device, epoch, node: this.id }, call);
    } catch (error) {
      this.#storeFailed(call.name, error);
      this.#dispatch(seat, { type: "unanswered" });
      return;
    }
    if ("outcome" in answer) {
      const { outcome } = answer;
      if (outcome.kind === "matched")
        metrics.matched(outcome.match.mode, outcome.waited, outcome.partnerWaited);
      if (outcome.kind === "matched" || outcome.kind === "waiting") metrics.passedOver(outcome.passed);
      if (outcome.kind === "fenced") this.#lease.renewSoon();
    }
    this.#dispatch(seat, { type: "answer", answer });
  }

  async #report(seat: Seat, effect: Extract<Effect, { do: "report" }>): Promise<void> {
    const { reports, metrics, wallClock, log } = this.#parts;
    const { pair, reason, details, partnerDevice } = effect;
    try {
      await reports.add({
        pair,
        reason,
        ...(details ? { details } : {}),
        reporterDevice: seat.session.device,
        reportedDevice: partnerDevice,
        at: wallClock(),
      });
      metrics.reported();
      seat.connection?.send({ type: "reported", pair });
    } catch (error) {
      log.warn({ err: error }, "a report could not be stored");
      seat.connection?.sendError({
        code: "unavailable",
        message: "the report could not be stored, please send it again",
      });
    }
  }

  // Notes between sessions

  #tell(partner: Partner, from: Partner, note: Note): void {
    if (partner.node === this.id) {
      if (note.type === "signal") this.#parts.metrics.signalRelayed("local");
      this.#notes.push({ to: partner.session, from, note });
      return;
    }
    if (note.type === "signal") this.#parts.metrics.signalRelayed("link");
    this.#parts.link.send(partner.node, { kind: "note", to: partner.session, from: from.session, note });
  }

  /** One at a time and in order, so that no session is stepped in the middle of another one's effects. */
  #deliverNotes(): void {
    if (this.#delivering) return;
    this.#delivering = true;
    try {
      for (let next = this.#notes.shift(); next; next = this.#notes.shift())
        this.#deliver(next.to, next.from, next.note);
    } finally {
      this.#delivering = false;
    }
  }

  #deliver(to: string, from: Partner, note: Note): void {
    const seat = this.#hub.get(to);
    if (seat) this.#dispatch(seat, { type: "note", from, note });
    else if (note.type === "matched") {
      this.#tell(from, { session: to, node: this.id }, { type: "refused", pair: note.pair });
    }
  }

  onEnvelope(from: string, envelope: Envelope): void {
    switch (envelope.kind) {
      case "note":
        this.#notes.push({
          to: envelope.to,
          from: { session: envelope.from, node: from },
          note: envelope.note,
        });
        this.#deliverNotes();
        break;
      case "takeover": {
        const seat = this.#hub.get(envelope.session);
        if (!seat || seat.session.epoch >= envelope.epoch) return;
        const { state, held } = seat.session;
        if (state.name === "paired" && held.length > 0) {
          this.#parts.link.send(from, {
            kind: "held",
            session: envelope.session,
            pair: state.match.pair,
            frames: held,
          });
        }
        this.#dispatch(seat, { type: "superseded" });
        break;
      }
      case "held": {
        const seat = this.#hub.get(envelope.session);
        if (seat?.session.state.name !== "paired") return;
        const { partner } = seat.session.state.match;
        for (const raw of envelope.frames) {
          this.#dispatch(seat, {
            type: "note",
            from: partner,
            note: { type: "signal", pair: envelope.pair, raw },
          });
        }
        break;
      }
    }
  }

  onLoss(from: string, lost: number): void {
    this.#parts.metrics.linkLost(lost);
    this.#parts.log.warn({ node: from, lost }, "messages of another node were lost");
  }

  onPeer(node: string, up: boolean): void {
    this.#parts.log.info({ node }, up ? "linked with another node" : "the link to another node is down");
  }

  /** A dead node's session: its partner hears of it, or gets its ticket back if it never knew of the match. */
  #orphaned(node: string, { pair, partner, ended }: Orphan): void {
    // "refused" takes back a match of which the other side was never told, and nothing else.
    const note: Note = ended ? { type: "ended", pair, reason: "lost" } : { type: "refused", pair };
    this.#tell(partner, { session: "", node }, note);
    this.#deliverNotes();
  }

  #storeFailed(call: string, error: unknown): void {
    this.#parts.metrics.storeFailed(call);
    this.#parts.log.debug({ err: error, call }, "the store did not answer");
  }
}
