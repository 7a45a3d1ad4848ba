import type { Duplex } from "node:stream";
import { WebSocket } from "ws";
import type { ClientOptions } from "ws";
import type { ClientMessage, Hello, ServerMessage, Welcome } from "../protocol/messages.ts";
import { SUBPROTOCOL } from "../protocol/messages.ts";

/** How long a test waits for what has to come. Nothing that works takes as long. */
const PATIENCE_MS = 30_000;

type Of<T extends ServerMessage["type"]> = Extract<ServerMessage, { type: T }>;

export interface Closed {
  code: number;
  reason: string;
}

/** A visitor in tests: a real WebSocket that speaks the protocol. What came and was not asked for stays in its inbox. */
export class Visitor {
  readonly socket: WebSocket;
  /** What is beneath it. */
  stream!: Duplex;
  /** What came so far and was not taken by `next`, oldest first. `status` is left out unless `next` waits for it. */
  readonly inbox: ServerMessage[] = [];
  /** Resolves once the connection is over. */
  readonly closed: Promise<Closed>;
  #welcome: Welcome | undefined;
  #waiting: ((message: ServerMessage) => void) | undefined;
  #wantsStatus = false;
  #over: Closed | undefined;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on("upgrade", (answer) => (this.stream = answer.socket));
    socket.on("message", (data) => this.#receive(JSON.parse(String(data)) as ServerMessage));
    this.closed = new Promise((resolve) => {
      socket.on("close", (code, reason) => {
        this.#over = { code, reason: String(reason) };
        resolve(this.#over);
      });
    });
    // The close that follows says what there is to say.
    socket.on("error", () => {});
  }

  /** Opens a connection and says nothing yet. Rejects when there is no upgrade. */
  static async connect(url: string, options: ClientOptions = {}): Promise<Visitor> {
    const socket = new WebSocket(url, SUBPROTOCOL, { perMessageDeflate: false, ...options });
    const visitor = new Visitor(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once("open", resolve);
      socket.once("error", reject);
    });
    return visitor;
  }

  /** Says hello and waits for the welcome. */
  async hello(fields: Omit<Hello, "type"> = {}): Promise<Welcome> {
    this.send({ type: "hello", ...fields });
    this.#welcome = await this.next("welcome");
    return this.#welcome;
  }

  get welcome(): Welcome {
    if (!this.#welcome) throw new Error("there was no welcome yet");
    return this.#welcome;
  }

  send(message: ClientMessage): void {
    this.socket.send(JSON.stringify(message));
  }

  /** Sends what may be no message at all. */
  sendRaw(data: string | Uint8Array): void {
    this.socket.send(data);
  }

  find(more: Partial<Extract<ClientMessage, { type: "find" }>> = {}): void {
    this.send({ type: "find", mode: "video", ...more });
  }

  /** The next message, which has to be of this type. */
  async next<T extends ServerMessage["type"]>(type: T): Promise<Of<T>> {
    const message = await this.#take(type);
    if (message.type !== type) throw new Error(`expected ${type}, but ${JSON.stringify(message)} came`);
    return message as Of<T>;
  }

  /** The first message of this type, whatever comes before it. */
  async eventually<T extends ServerMessage["type"]>(type: T): Promise<Of<T>> {
    for (;;) {
      const message = await this.#take(type);
      if (message.type === type) return message as Of<T>;
    }
  }

  /** Everything that has come. All that this visitor has said before has reached the node by then. */
  async heard(): Promise<ServerMessage[]> {
    const t = Math.random();
    this.send({ type: "ping", t });
    const heard: ServerMessage[] = [];
    for (;;) {
      const message = await this.#take("pong");
      if (message.type === "pong" && message.t === t) return heard;
      heard.push(message);
    }
  }

  /** Fails when something came that was not taken. All that this visitor has said before has reached the node by then. */
  async nothing(): Promise<void> {
    const heard = await this.heard();
    if (heard.length > 0) throw new Error(`expected nothing, but ${JSON.stringify(heard)} came`);
  }

  /** Ends the connection as a network does that breaks. */
  async drop(): Promise<void> {
    this.socket.terminate();
    await this.closed;
  }

  #receive(message: ServerMessage): void {
    if (message.type === "status" && !this.#wantsStatus) return;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting) waiting(message);
    else this.inbox.push(message);
  }

  async #take(type: ServerMessage["type"]): Promise<ServerMessage> {
    const first = this.inbox.shift();
    if (first) return first;
    this.#wantsStatus = type === "status";
    const { promise, resolve, reject } = Promise.withResolvers<ServerMessage>();
    this.#waiting = resolve;
    const patience = setTimeout(() => reject(new Error(`expected ${type}, but nothing came`)), PATIENCE_MS);
    void this.closed.then(({ code, reason }) => {
      reject(new Error(`expected ${type}, but the connection was closed with ${code} ${reason}`));
    });
    try {
      return await promise;
    } finally {
      clearTimeout(patience);
      this.#waiting = undefined;
      this.#wantsStatus = false;
    }
  }
}
