/**
 * Signals on their way to the other side of a pair (S2). What cannot be sent waits with its sender, in order, until it can
 * or until it is heard where the other side went; and it goes along with a sender who moves to another node.
 */
import type { Envelope, Link } from "../links/link.ts";
import { hasRoom } from "../session/held.ts";
import type { Partner, Stay } from "../session/match.ts";
import type { Signal } from "../session/note.ts";
import type { Seat } from "./hub.ts";

export interface OutgoingParts {
  readonly id: string;
  readonly link: Pick<Link, "send">;
  readonly metrics: { signalRelayed(route: "local" | "link"): void; heldDropped(): void };
}

export interface OutgoingEvents {
  /** Gives it to a session of this node. */
  deliver(to: string, from: Partner, signal: Signal): void;
  /** Whether something that is older than all that is here may still come from where the session was. */
  isComing(session: string, pair: string): boolean;
  /** Nobody is reached where the other side was: the store knows whether there still is somebody, and where. */
  unreached(seat: Seat): void;
}

export class Outgoing {
  readonly #parts: OutgoingParts;
  readonly #events: OutgoingEvents;

  constructor(parts: OutgoingParts, events: OutgoingEvents) {
    this.#parts = parts;
    this.#events = events;
  }

  send(seat: Seat, signal: Signal): void {
    if (this.sendWaiting(seat) && this.#send(seat, signal)) return;
    if (!this.#isComing(seat)) this.#events.unreached(seat);
    this.#keep(seat, signal);
  }

  /** Tries again what waits; answers whether nothing is left, here or where the session was. */
  sendWaiting(seat: Seat): boolean {
    if (this.#isComing(seat)) return false;
    const { stranded } = seat;
    while (stranded?.[0]) {
      if (!this.#send(seat, stranded[0].signal)) return false;
      stranded.shift();
    }
    seat.stranded = undefined;
    return true;
  }

  /** All has come that the session left where it was. */
  allHere(seat: Seat): void {
    if (!this.sendWaiting(seat)) this.#events.unreached(seat);
  }

  /** The session goes on elsewhere, with what waits of its pair. */
  went({ session, stranded = [] }: Seat, pair: string, { node, epoch }: Stay): void {
    const waiting = stranded.filter(({ signal }) => signal.pair === pair);
    for (const said of new Set(waiting.map(({ said }) => said))) {
      const frames = waiting.filter((each) => each.said === said).map(({ signal }) => signal.raw);
      this.#parts.link.send(node, { kind: "stranded", session: session.id, epoch, said, pair, frames });
    }
  }

  /** What waited where the session was. */
  followed(seat: Seat, { said, pair, frames }: Extract<Envelope, { kind: "stranded" }>): void {
    for (const raw of frames) this.#keep(seat, { type: "signal", pair, raw }, said);
    this.sendWaiting(seat);
  }

  #isComing({ session: { id, state } }: Seat): boolean {
    return state.name === "paired" && this.#events.isComing(id, state.match.pair);
  }

  /** In the order in which it was said; of what is too much the newest is let go of. */
  #keep(seat: Seat, signal: Signal, said = seat.session.epoch): void {
    const stranded = (seat.stranded ??= []);
    const older = stranded.filter((each) => each.said <= said).length;
    const hasRoomFor = (): boolean =>
      hasRoom(
        stranded.map(({ signal }) => signal.raw),
        signal.raw,
      );
    while (stranded.length > older && !hasRoomFor()) {
      stranded.pop();
      this.#parts.metrics.heldDropped();
    }
    if (hasRoomFor()) stranded.splice(older, 0, { said, signal });
    else this.#parts.metrics.heldDropped();
  }

  /** False when the other side cannot be reached now. What belongs to a pair that is over is nobody's any more. */
  #send({ session }: Seat, signal: Signal): boolean {
    const { id, link, metrics } = this.#parts;
    const { state } = session;
    if (state.name !== "paired" || state.match.pair !== signal.pair) return true;
    const { session: to, node, epoch } = state.match.partner;
    const note = { ...signal, epoch };
    if (node === id) {
      metrics.signalRelayed("local");
      this.#events.deliver(to, { session: session.id, node: id }, note);
      return true;
    }
    const sent = link.send(node, { kind: "note", to, from: session.id, note });
    if (sent) metrics.signalRelayed("link");
    return sent;
  }
}
