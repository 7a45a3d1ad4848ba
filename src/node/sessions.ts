/**
 * The sessions of this node at work: steps them, runs the effects that their steps ask for, and carries notes between
 * them, here and over the link.
 */
import type { Envelope } from "../links/link.ts";
import type { Counts, Orphan } from "../matching/matcher.ts";
import { PROTOCOL_VERSION } from "../protocol/messages.ts";
import type { Welcome } from "../protocol/messages.ts";
import type { Answer, Call } from "../session/call.ts";
import type { Effect } from "../session/effect.ts";
import type { Event } from "../session/event.ts";
import { asTheySee } from "../session/match.ts";
import type { Partner } from "../session/match.ts";
import type { Note, Signal } from "../session/note.ts";
import { step } from "../session/step.ts";
import { ask } from "./ask.ts";
import type { Connection } from "./connection.ts";
import type { NodeParts } from "./contracts.ts";
import { Hub } from "./hub.ts";
import type { Seat } from "./hub.ts";
import { type Gone, Moves } from "./moves.ts";
import { Outgoing } from "./outgoing.ts";
import { messageAfar, signalAfar, signalThere } from "./private-addresses.ts";

export interface SessionsEvents {
  /** The numbers that visitors are told. */
  counts(): Counts;
  /** The store says that this node's lease has run out. */
  onFenced(): void;
  /** Whether this node may have lost its lease without knowing yet. */
  isStale(): boolean;
}

export class Sessions {
  readonly hub: Hub;
  readonly #parts: NodeParts;
  readonly #events: SessionsEvents;
  readonly #notes: { to: string; from: Partner; note: Note }[] = [];
  readonly #moves: Moves;
  readonly #outgoing: Outgoing;
  #delivering = false;
  #closed = false;

  constructor(parts: NodeParts, events: SessionsEvents) {
    this.#parts = parts;
    this.#events = events;
    this.hub = new Hub(parts.clock);
    this.#moves = new Moves(parts, {
      epochOf: (session) => this.hub.get(session)?.session.epoch ?? 0,
      give: (session, signal) => this.#give(session, signal),
      onAllHere: (session) => {
        const seat = this.hub.get(session);
        if (seat) this.#outgoing.allHere(seat);
        this.#deliverNotes();
      },
    });
    this.#outgoing = new Outgoing(parts, {
      deliver: (to, from, note) => void this.#notes.push({ to, from, note }),
      isComing: (session, pair) => this.#moves.isComing(session, pair),
      unreached: ({ session: { id, state } }) => {
        if (state.name === "paired") this.#refuse(id, state.match.partner, state.match.pair);
      },
    });
  }

  dispatch(seat: Seat, event: Event): void {
    if (this.#closed) return; // an answer that was still on its way
    const { session, effects } = step(seat.session, event, this.#parts.clock.now(), this.#parts.rules);
    if (session !== seat.session) this.hub.replace(seat, session);
    for (const effect of effects) this.#run(seat, effect);
    // Its other side may be elsewhere now, or be heard again.
    if (seat.stranded) this.#outgoing.sendWaiting(seat);
    this.#deliverNotes();
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Lets go of every session; the store keeps them for whoever takes them over. */
  close(): void {
    this.#closed = true;
    for (const seat of this.hub.seats()) this.hub.remove(seat);
  }

  /** The store may know nothing of this node's sessions: it is told again. */
  forgotten(): void {
    for (const seat of this.hub.seats()) this.dispatch(seat, { type: "forgotten" });
  }

  /** Notes of that node are lost: whoever may have been meant asks the store how things stand. */
  missed(node: string): void {
    for (const seat of this.hub.seats()) {
      const { state } = seat.session;
      const concerned =
        state.name === "paired" ? state.match.partner.node === node : state.name === "waiting";
      if (concerned) this.dispatch(seat, { type: "forgotten" });
    }
  }

  /** Word of what became of the session, or of the other side of its pair, may have been lost: the store knows. */
  check(session: string): void {
    const seat = this.hub.get(session);
    if (seat) this.dispatch(seat, { type: "forgotten" });
  }

  /**
   * A session that was elsewhere lives here now: tells the node where it was, or every node when that is not known, and
   * the other side of its pair. That side may never have heard of the match: it hears all of it. From this very node: it
   * was here all the time. Answers where it has gone on, should that be heard already: then it is here no more.
   */
  movedHere(seat: Seat, previousNode: string | undefined, late: boolean): Gone | undefined {
    const { id, epoch, state } = seat.session;
    const { link } = this.#parts;
    const takeover: Envelope = { kind: "takeover", session: id, epoch, ...(late && { late }) };
    let asked = false;
    if (previousNode === undefined) asked = link.broadcast(takeover);
    else if (previousNode !== this.#parts.id) asked = link.send(previousNode, takeover);
    const gone = this.#moves.came(id, epoch, asked && state.name === "paired" ? state.match.pair : undefined);
    if (state.name === "paired") {
      const { match } = state;
      const here = { session: id, node: this.#parts.id };
      this.#tell(match.partner, here, { type: "matched", ...asTheySee(match), epoch });
      this.#deliverNotes();
    }
    if (gone) this.movedOn(seat, late || gone.late === true, gone);
    return gone;
  }

  /** A dead node's session: its partner hears of it, or gets its ticket back if it never knew of the match. */
  orphaned(node: string, { pair, partner, ended }: Orphan): void {
    // "refused" takes back a match of which the other side was never told, and nothing else.
    const note: Note = ended ? { type: "ended", pair, reason: "lost" } : { type: "refused", pair };
    this.#tell(partner, { session: "", node }, note);
    this.#deliverNotes();
  }

  receive(from: string, envelope: Envelope): void {
    switch (envelope.kind) {
      case "note":
        this.#notes.push({
          to: envelope.to,
          from: { session: envelope.from, node: from },
          note: envelope.note,
        });
        this.#deliverNotes();
        break;
      case "takeover":
        this.#tookOver(from, envelope);
        break;
      case "held":
        this.#moves.followed(envelope.session, envelope.epoch, envelope.pair, envelope.frames);
        break;
      case "stranded": {
        const seat = this.hub.get(envelope.session);
        const next = this.#moves.next(envelope.session, envelope.epoch);
        // Here it is again, perhaps, and later than it was there.
        if (next && (seat?.session.epoch ?? 0) <= next.epoch)
          this.#parts.link.send(next.node, { ...envelope, epoch: next.epoch });
        else if (seat) this.#outgoing.followed(seat, envelope);
        this.#deliverNotes();
        break;
      }
    }
  }

  /**
   * The session is elsewhere, or has been meanwhile; what was held for it goes the way that it went. What it could not send
   * goes `to` there, if that is known, and else stays with the seat.
   */
  movedOn(seat: Seat, late: boolean, to?: Gone): void {
    const { id, epoch, state, held } = seat.session;
    const pair = state.name === "paired" ? state.match.pair : "";
    if (to) this.#outgoing.went(seat, pair, to);
    this.#moves.left(id, { epoch, pair, held });
    this.dispatch(seat, { type: "superseded", late });
  }

  /** The node `by` has a session now that was here, perhaps. */
  #tookOver(by: string, { session, epoch, late }: Extract<Envelope, { kind: "takeover" }>): void {
    // Of a node that is gone by now, whose visitor may be back from there already.
    const isGone = !this.#parts.link.peers().some(({ node, state }) => node === by && state === "up");
    const to = { node: by, epoch, late: (late ?? false) || isGone };
    this.#moves.went(session, to);
    const seat = this.hub.get(session);
    if (!seat || seat.session.epoch >= epoch) return;
    this.movedOn(seat, to.late, to);
  }

  #give(session: string, note: Signal): void {
    const seat = this.hub.get(session);
    if (seat?.session.state.name !== "paired") return;
    this.dispatch(seat, { type: "note", from: seat.session.state.match.partner, note });
  }

  #run(seat: Seat, effect: Effect): void {
    const { connection, session } = seat;
    switch (effect.do) {
      case "relay":
        this.#relay(connection, effect.raw);
        break;
      case "tell":
        if (effect.note.type === "signal") this.#outgoing.send(seat, effect.note);
        else this.#tell(effect.partner, { session: session.id, node: this.#parts.id }, effect.note);
        break;
      case "send":
        connection?.send(connection.lan ? effect.message : messageAfar(effect.message));
        break;
      case "call":
        void this.#call(seat, effect.call);
        break;
      case "timer":
        this.hub.schedule(seat, effect.timer, effect.after, () => {
          this.dispatch(seat, { type: "due", timer: effect.timer });
        });
        break;
      case "cancel":
        this.hub.cancel(seat, effect.timer);
        break;
      case "welcome":
        connection?.send(this.#welcome(seat, effect.resumed));
        break;
      case "waiting": {
        if (!connection) break;
        connection.told = this.#events.counts();
        connection.send({
          type: "waiting",
          since: effect.since,
          ...connection.told,
          relaxed: [...effect.relaxed],
        });
        break;
      }
      case "gaveWay":
        this.#parts.metrics.relaxed(effect.what);
        break;
      case "report":
        void this.#report(seat, effect);
        break;
      case "quality":
        this.#parts.metrics.called(effect.quality);
        break;
      case "count":
        if (effect.what === "heldDropped") this.#parts.metrics.heldDropped();
        else this.#parts.metrics.undone();
        break;
      case "close":
        connection?.close(effect.code, "this session goes on elsewhere");
        break;
      case "forget":
        this.hub.remove(seat);
        break;
    }
  }

  #relay(connection: Connection | undefined, raw: Uint8Array): void {
    const heard = connection?.lan ? signalThere(raw) : signalAfar(raw);
    if (heard) connection?.sendRaw(heard);
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
      iceServers: ice.servers(seat.session.id, seat.connection?.came),
      iceTransportPolicy: ice.policy,
      online: this.#events.counts().online,
      settings: { ...settings, lan: seat.connection?.lan ?? false },
    };
  }

  async #call(seat: Seat, call: Call): Promise<void> {
    const { matcher, metrics, log } = this.#parts;
    const { id: session, device, epoch } = seat.session;
    let answer: Answer;
    try {
      answer = await ask(matcher, { session, device, epoch, node: this.#parts.id }, call, () =>
        this.#silent(),
      );
    } catch (error) {
      metrics.storeFailed(call.name);
      log.debug({ err: error, call: call.name }, "the store did not answer");
      this.dispatch(seat, { type: "unanswered" });
      return;
    }
    if ("outcome" in answer) {
      const { outcome } = answer;
      if (outcome.kind === "matched")
        metrics.matched(outcome.match.mode, outcome.waited, outcome.partnerWaited);
      if (outcome.kind === "matched" || outcome.kind === "waiting") metrics.passedOver(outcome.passed);
      if (outcome.kind === "crowded") metrics.refused("too_many_sessions");
      if (outcome.kind === "fenced") this.#events.onFenced();
    }
    this.dispatch(seat, { type: "answer", answer });
  }

  /** Nodes that this one and they do not hear each other: a match with a visitor there would have to be undone. */
  #silent(): string[] {
    const peers = this.#parts.link.peers().filter(({ state }) => state !== "up");
    return peers.map(({ node }) => node);
  }

  async #report(seat: Seat, effect: Extract<Effect, { do: "report" }>): Promise<void> {
    const { reports, metrics, wallClock, log } = this.#parts;
    const { pair, reason, details, partnerDevice } = effect;
    try {
      const isNew = await reports.add({
        pair,
        reason,
        ...(details ? { details } : {}),
        reporterDevice: seat.session.device,
        reportedDevice: partnerDevice,
        at: wallClock(),
      });
      if (isNew) metrics.reported();
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
    const { id, link } = this.#parts;
    if (partner.node === id) {
      this.#notes.push({ to: partner.session, from, note });
      return;
    }
    const sent = link.send(partner.node, { kind: "note", to: partner.session, from: from.session, note });
    // Nobody there will answer: undone now rather than after two seconds (M2).
    if (!sent && note.type === "matched") this.#refuse(from.session, partner, note.pair);
  }

  #refuse(session: string, by: Partner, pair: string): void {
    this.#notes.push({ to: session, from: by, note: { type: "refused", pair } });
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
    if (note.type === "signal") return this.#moves.arrived(to, note);
    if (note.type === "last") return this.#moves.heardOut(to, note.epoch, note.pair);
    const seat = this.hub.get(to);
    if (seat && note.type === "matched" && seat.session.state.name === "waiting" && this.#events.isStale()) {
      // From before this node was stopped, perhaps: the match is undone long since, or the store says that it stands.
      this.#tell(from, { session: to, node: this.#parts.id }, { type: "refused", pair: note.pair });
      this.dispatch(seat, { type: "forgotten" });
    } else if (seat) this.dispatch(seat, { type: "note", from, note });
    else if (note.type === "matched") {
      this.#tell(from, { session: to, node: this.#parts.id }, { type: "refused", pair: note.pair });
    }
  }
}
