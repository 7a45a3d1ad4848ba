/**
 * As much of a node as two pages need: sessions that outlive their sockets, matching in order of arrival, relaying.
 * Synchronous, so that a test sees each step.
 */
import type { ClientMessage, Find, ServerMessage } from "../../../src/protocol/messages.ts";
import { FakeSocket } from "./fakes.ts";

interface FakeSession {
  token: string;
  socket: NodeSocket | null;
  ticket: Find | null;
  pair: FakePair | null;
  held: ServerMessage[];
}

interface FakePair {
  id: string;
  offerer: FakeSession;
  answerer: FakeSession;
}

class NodeSocket extends FakeSocket {
  session: FakeSession | null = null;
  readonly #node: FakeNode;

  constructor(node: FakeNode) {
    super();
    this.#node = node;
  }

  override send(text: string): void {
    super.send(text);
    this.#node.receive(this, JSON.parse(text) as ClientMessage);
  }

  override close(): void {
    super.close();
    if (this.session?.socket === this) this.session.socket = null;
  }
}

export class FakeNode {
  readonly sockets: NodeSocket[] = [];
  readonly sessions: FakeSession[] = [];
  readonly #blocked: Set<FakeSession>[] = [];
  #pairs = 0;

  open(): NodeSocket {
    const socket = new NodeSocket(this);
    this.sockets.push(socket);
    queueMicrotask(() => {
      if (!socket.closed) socket.opens();
    });
    return socket;
  }

  receive(socket: NodeSocket, message: ClientMessage): void {
    if (message.type === "hello") return this.#welcome(socket, message.resume);
    const session = socket.session;
    if (!session) throw new Error("hello comes first");
    if (message.type === "find") {
      const end = this.#part(session, "next");
      this.#find(session, message);
      end();
    } else if (message.type === "leave") {
      session.ticket = null;
      this.#part(session, "left")();
    } else if (message.type === "signal") {
      const { pair } = session;
      if (pair?.id !== message.pair) return;
      this.say(pair.offerer === session ? pair.answerer : pair.offerer, message);
    } else if (message.type === "block" || message.type === "report") {
      if (message.type === "report") this.say(session, { type: "reported", pair: message.pair });
      const { pair } = session;
      if (pair?.id !== message.pair) return;
      this.#blocked.push(new Set([pair.offerer, pair.answerer]));
      this.#part(session, "blocked")();
    } else if (message.type === "ping") {
      // A page that asks waits for the answer from then on: it cannot have come before.
      queueMicrotask(() => this.say(session, { type: "pong" }));
    }
  }

  say(session: FakeSession, message: ServerMessage): void {
    if (session.socket) session.socket.says(message);
    else if (message.type === "signal") session.held.push(message);
  }

  /** Takes a match back; both are waiting again. */
  undo(pair: FakePair): void {
    for (const session of [pair.offerer, pair.answerer]) {
      session.pair = null;
      session.ticket = { type: "find", mode: "video" };
      this.say(session, { type: "waiting", since: 0, online: 2, waiting: 2, relaxed: [] });
    }
  }

  #welcome(socket: NodeSocket, resume: string | undefined): void {
    const known = this.sessions.find(({ token }) => token === resume);
    const session = known ?? {
      token: `token${this.sessions.length}`,
      socket: null,
      ticket: null,
      pair: null,
      held: [],
    };
    if (!known) this.sessions.push(session);
    session.socket?.breaks(4503);
    session.socket = socket;
    socket.session = session;
    const { pair, ticket, token } = session;
    socket.says({
      type: "welcome",
      version: 1,
      resume: token,
      resumed: known !== undefined,
      state: pair ? "paired" : ticket ? "waiting" : "idle",
      pair: pair?.id,
      role: pair ? (pair.offerer === session ? "offerer" : "answerer") : undefined,
      mode: pair || ticket ? "video" : undefined,
      iceServers: [{ urls: "stun:192.0.2.7" }],
      iceTransportPolicy: "all",
      online: this.sessions.length,
      settings: { name: "Testing" },
    });
    for (const message of session.held.splice(0)) this.say(session, message);
  }

  #find(session: FakeSession, find: Find): void {
    const { mode } = find;
    const blocked = (other: FakeSession) => this.#blocked.some((two) => two.has(session) && two.has(other));
    const other = this.sessions.find(
      (each) => each !== session && each.ticket?.mode === mode && each.socket && !blocked(each),
    );
    if (!other) {
      session.ticket = find;
      return this.say(session, { type: "waiting", since: 0, online: 1, waiting: 1, relaxed: [] });
    }
    const pair = { id: `pair${this.#pairs++}`, offerer: session, answerer: other };
    session.pair = other.pair = pair;
    session.ticket = other.ticket = null;
    const common = { interests: ["go"] };
    const match = { type: "matched" as const, pair: pair.id, mode, common };
    this.say(session, { ...match, role: "offerer", offerUsed: find.offer !== undefined });
    this.say(other, { ...match, role: "answerer", offer: find.offer });
  }

  /** Ends the pair; what it returns tells the other side. */
  #part(session: FakeSession, reason: "left" | "next" | "blocked"): () => void {
    const { pair } = session;
    if (!pair) return () => {};
    pair.offerer.pair = pair.answerer.pair = null;
    const other = pair.offerer === session ? pair.answerer : pair.offerer;
    return () => this.say(other, { type: "ended", pair: pair.id, reason });
  }
}
