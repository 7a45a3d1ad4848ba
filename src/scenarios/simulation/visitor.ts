import { HEARTBEAT_MS } from "../../protocol/limits.ts";
import type { ClientMessage, ServerMessage } from "../../protocol/messages.ts";
import { sessionIdOf } from "../../session/resume-token.ts";
import type { Member } from "./member.ts";
import { PageSocket } from "./page-socket.ts";

/** A node finds out that nobody is there any more by two heartbeats (T6). */
export const UNNOTICED_MS = 2 * HEARTBEAT_MS + 1_000;

export type Belief =
  | { state: "unknown" | "idle" | "waiting" }
  | { state: "paired"; pair: string; since: number };

export interface VisitorEvents {
  now(): number;
  /** By the clock that stands still while something is broken. */
  calm(): number;
  onMessage(visitor: Visitor, message: ServerMessage): void;
  /** What the page says to its node, just before the node hears it. */
  onSaid(visitor: Visitor, message: ClientMessage): void;
  /** A node says something on a connection of which it does not know that nobody is there any more. */
  onMissed(session: string, message: ServerMessage): void;
  /** The connection that the page believed in is gone; 1006 when nobody said why. */
  onLost(visitor: Visitor, code: number): void;
}

/** A visitor and the page: what it says, and what it believes. */
export class Visitor {
  readonly name: string;
  readonly device: string;
  socket: PageSocket | undefined;
  belief: Belief = { state: "unknown" };
  /** Since when, by the calm clock, nobody may be matched with this visitor: left, or without a connection. */
  away: number | undefined = 0;
  /** Until when a node may take a connection to be there that the page has left without a word. */
  ghostUntil = 0;
  /** Since when, by the calm clock, the page believes in a pair of which nobody else was told. */
  alone: number | undefined;
  /** Since when, by the store's calm clock, the page believes in the match that it has just made. */
  claiming: number | undefined;
  /** Since when, by the calm clock, the page believes in a pair that is over in the store. */
  deceived: number | undefined;
  /** When the last connection on which the page was welcomed was lost. */
  lostAt = 0;
  /** When the store last had the session for one of a living node: the grace counts from the end of that, too. */
  heldAt = 0;
  welcomedAt = 0;
  /** Whether the store has heard of the session, and so must know it until its end. */
  recorded = false;
  /** The same, when the page said hello. */
  known = false;
  /** Whether the page is about to connect. */
  coming = false;
  /** Whether the page has said that it ends its pair, on a connection that may have carried it nowhere. */
  leaving = false;
  /** The last pair that the page was told of. */
  lastPair: string | undefined;
  /** What the last `find` said. */
  wish: Extract<ClientMessage, { type: "find" }> | undefined;
  /** The place in the pool that the page was told of in this search. */
  place: number | undefined;
  /** The id of the session that the token is for. */
  session: string | undefined;
  #token: string | undefined;
  #signals = 0;
  readonly #events: VisitorEvents;

  constructor(name: string, device: string, events: VisitorEvents) {
    this.name = name;
    this.device = device;
    this.#events = events;
  }

  get token(): string | undefined {
    return this.#token;
  }
  set token(token: string | undefined) {
    if (token !== this.#token) this.session = token === undefined ? undefined : sessionIdOf(token);
    this.#token = token;
  }
  get isConnected(): boolean {
    return this.socket !== undefined;
  }
  /** Whether the page has been welcomed, so that it may say something. */
  get isReady(): boolean {
    return this.socket !== undefined && this.belief.state !== "unknown";
  }

  connect(member: Member): void {
    this.known = this.recorded;
    const socket = new PageSocket(member, {
      onMessage: (message) => this.#events.onMessage(this, message),
      onClosed: (code) => this.lose(code),
      onMissed: (session, message) => this.#events.onMissed(session, message),
    });
    this.socket = socket;
    if (this.belief.state === "paired") this.losePlace();
    this.belief = { state: "unknown" };
    member.process.input(() => {
      if (this.socket !== socket) return;
      if (member.node.isDraining) {
        this.lose(4400);
        return;
      }
      socket.connection = member.node.accept(socket, undefined);
      socket.connection.onFrame(frame({ type: "hello", resume: this.token, device: this.device }), false);
    });
  }

  /** Ends the connection; `noticed` is whether the node hears of it, or goes on talking to nobody. */
  disconnect(noticed: boolean): void {
    const { socket } = this;
    if (!socket) return;
    this.#gone(socket);
    if (noticed) socket.member.process.input(() => socket.connection?.onSocketClosed());
    else this.ghostUntil = this.#events.calm() + UNNOTICED_MS;
  }

  lose(code: number): void {
    if (this.socket) this.#gone(this.socket);
    this.#events.onLost(this, code);
  }

  #gone(socket: PageSocket): void {
    if (this.isReady) this.lostAt = socket.member.pausedAt ?? this.#events.now();
    socket.giveUp();
    this.socket = undefined;
    this.away ??= this.#events.calm();
  }

  /** Says it as soon as the node listens, if the page is still in the state to say it then. */
  say(make: () => ClientMessage | undefined): void {
    const { socket } = this;
    socket?.member.process.input(() => {
      if (this.socket !== socket || !this.isReady || !socket.connection) return;
      const message = make();
      if (!message) return;
      this.#did(message);
      this.#events.onSaid(this, message);
      socket.connection.onFrame(frame(message), false);
    });
  }

  signal(): void {
    this.say(() => {
      if (this.belief.state !== "paired") return undefined;
      return {
        type: "signal",
        pair: this.belief.pair,
        data: {
          by: this.session,
          n: this.#signals++,
          at: this.#events.now(),
          via: this.socket?.member.id,
        },
      };
    });
  }

  /** What the page believes once it has said that. */
  #did(message: ClientMessage): void {
    const { belief } = this;
    if (belief.state === "paired" && message.type !== "signal") this.leaving = true;
    if (message.type === "find") {
      this.wish = message;
      if (belief.state !== "waiting") this.place = undefined;
      this.belief = { state: "waiting" };
      this.away = undefined;
    } else if (message.type === "leave") this.#stops();
    else if (message.type === "block" || message.type === "report") {
      if (belief.state === "paired" && belief.pair === message.pair) this.#stops();
    }
  }

  /** Nobody owes the page its old place any more. */
  losePlace(): void {
    this.place = undefined;
  }

  #stops(): void {
    this.belief = { state: "idle" };
    this.losePlace();
    this.away = this.#events.calm();
  }
}

const frame = (message: ClientMessage): Uint8Array => Buffer.from(JSON.stringify(message));
