/**
 * One connection: what a socket may do, in what order and how often (T2, T4–T8), before anything of it reaches a
 * session. It knows no session but the id of the one it belongs to.
 */
import type { Clock } from "../clock.ts";
import type { Counts } from "../matching/matcher.ts";
import { CloseCode } from "../protocol/close-codes.ts";
import { HELLO_TIMEOUT_MS, MAX_UNSENT_BYTES } from "../protocol/limits.ts";
import type { ClientMessage, ErrorMessage, Hello, ServerMessage } from "../protocol/messages.ts";
import { parse } from "../protocol/parse.ts";
import type { ParseError } from "../protocol/parse.ts";
import { Tally, TokenBucket } from "../session/rate-limit.ts";
import type { Rate } from "../session/rate-limit.ts";
import type { Came } from "./came.ts";
import type { Socket } from "./socket.ts";

export interface ConnectionRates {
  find: Rate;
  signal: Rate;
  other: Rate;
}

/** Who a connection reports to. */
export interface ConnectionOwner {
  readonly clock: Clock;
  readonly rates: ConnectionRates;
  onHello(connection: Connection, hello: Hello): void;
  onMessage(connection: Connection, message: ClientMessage, raw: Uint8Array): void;
  /** Called once, when the connection is over for whatever reason; nothing else follows. */
  onClosed(connection: Connection): void;
  onRefused(what: "rate_limited" | "invalid_message" | "unknown_type" | "flooding" | "too_slow"): void;
}

const BAD_MESSAGES = { most: 10, windowMs: 60_000 };
const REFUSED_MESSAGES = { most: 200, windowMs: 10_000 };

export class Connection {
  /** The session this connection belongs to; set by the owner once `hello` was answered. */
  session: string | undefined;
  /** A key for the client's address, undefined where addresses do not count (loopback). Never the address itself. */
  readonly address: string | undefined;
  /** By which way the client came, where that is known. */
  came: Came | undefined;
  /** The newest numbers that its visitor has heard. */
  told: Counts | undefined;
  /** Whether a ping is out that was not answered (T6). */
  pinged = false;

  readonly #socket: Socket;
  readonly #owner: ConnectionOwner;
  readonly #buckets: { find: TokenBucket; signal: TokenBucket; other: TokenBucket };
  #bad: Tally | undefined;
  #refused: Tally | undefined;
  #helloSaid = false;
  #closed = false;
  #cancelHelloTimeout: () => void;

  constructor(socket: Socket, address: string | undefined, owner: ConnectionOwner) {
    const { clock, rates } = owner;
    const now = clock.now();
    this.address = address;
    this.#socket = socket;
    this.#owner = owner;
    this.#buckets = {
      find: new TokenBucket(rates.find, now),
      signal: new TokenBucket(rates.signal, now),
      other: new TokenBucket(rates.other, now),
    };
    this.#cancelHelloTimeout = clock.after(HELLO_TIMEOUT_MS, () => {
      this.close(CloseCode.protocolViolation, "hello has to come first, within 10 seconds");
    });
  }

  get isOpen(): boolean {
    return !this.#closed;
  }

  /** Whether the client is seen on this machine or in a private network. */
  get lan(): boolean {
    return this.came?.lan ?? false;
  }

  // From the socket

  onFrame(raw: Uint8Array, isBinary: boolean): void {
    if (this.#closed) return;
    if (isBinary) {
      this.close(CloseCode.protocolViolation, "text frames only");
      return;
    }
    const parsed = parse(Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).toString());
    if (!this.#helloSaid) {
      this.#onFirst(parsed.ok ? parsed.message : undefined);
    } else if (!parsed.ok) {
      this.reject(parsed.error);
    } else if (parsed.message.type === "hello") {
      this.reject({ code: "invalid_message", message: "hello was said already", field: "type" });
    } else if (this.#allowed(parsed.message.type)) {
      this.#owner.onMessage(this, parsed.message, raw);
    }
  }

  /** T5: says what is wrong with a message, and hangs up on the tenth within a minute. */
  reject(error: ParseError): void {
    this.#owner.onRefused(error.code);
    this.sendError(error);
    this.#bad ??= new Tally(BAD_MESSAGES.most, BAD_MESSAGES.windowMs);
    if (this.#bad.add(this.#owner.clock.now())) {
      this.close(CloseCode.protocolViolation, "too many messages that are none");
    }
  }

  onPong(): void {
    this.pinged = false;
  }

  /** The socket is gone. */
  onSocketClosed(): void {
    this.#finish();
  }

  // To the socket

  send(message: ServerMessage): void {
    this.sendRaw(JSON.stringify(message));
  }

  /** Sends what is a message already. */
  sendRaw(text: string | Uint8Array): void {
    if (this.#closed) return;
    this.#socket.send(text);
    if (this.#socket.unsent() > MAX_UNSENT_BYTES) {
      this.#owner.onRefused("too_slow");
      this.close(CloseCode.tooSlow, "reading too slowly");
    }
  }

  sendError(error: Omit<ErrorMessage, "type">): void {
    this.send({ type: "error", ...error });
  }

  /** Asks for a sign of life, or hangs up when the last one was not given (T6). */
  checkHeartbeat(): void {
    if (this.pinged) {
      this.close(CloseCode.heartbeatLost, "no sign of life");
      return;
    }
    this.pinged = true;
    this.#socket.ping();
  }

  close(code: number, reason: string): void {
    if (this.#closed) return;
    this.#socket.close(code, reason);
    this.#finish();
  }

  #finish(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelHelloTimeout();
    this.#owner.onClosed(this);
  }

  #onFirst(message: ClientMessage | undefined): void {
    if (message?.type !== "hello") {
      this.close(CloseCode.protocolViolation, "hello has to come first");
      return;
    }
    this.#helloSaid = true;
    this.#cancelHelloTimeout();
    this.#owner.onHello(this, message);
  }

  #allowed(type: ClientMessage["type"]): boolean {
    const now = this.#owner.clock.now();
    const bucket = type === "signal" || type === "find" ? this.#buckets[type] : this.#buckets.other;
    const wait = bucket.take(now);
    if (wait === 0) return true;
    this.refuse(wait);
    return false;
  }

  /** T7: says that a message was refused, and hangs up on somebody who does not listen. */
  refuse(waitSeconds: number): void {
    const now = this.#owner.clock.now();
    this.#refused ??= new Tally(REFUSED_MESSAGES.most, REFUSED_MESSAGES.windowMs);
    if (this.#refused.add(now)) {
      this.#owner.onRefused("flooding");
      this.close(CloseCode.flooding, "too many messages");
      return;
    }
    this.#owner.onRefused("rate_limited");
    this.sendError({
      code: "rate_limited",
      message: "too many messages; this one was not looked at",
      retryAfter: Math.max(0.1, Math.ceil(waitSeconds * 10) / 10),
    });
  }
}
