/**
 * The page's one connection to the node: opens it, says `hello`, notices when the node is dead, connects again as
 * reconnect.ts says. It knows nothing of matches and calls.
 *
 * Nothing that depends on the session's state is kept for later: a `find`, `leave` or `signal` that cannot be sent now
 * is refused, because only the `welcome` of the next connection tells what still makes sense (see store.ts). Blocks,
 * reports and what a call was like always do, so they wait here.
 */
import { CloseCode } from "../../src/protocol/close-codes.ts";
import type {
  Banned,
  Block,
  ClientMessage,
  Hello,
  Quality,
  Report,
  ServerMessage,
} from "../../src/protocol/messages.ts";
import { STATUS_MS } from "../../src/protocol/limits.ts";
import type { Clock } from "./clock.ts";
import { drainDelay, reconnectDelay } from "./reconnect.ts";
import { parseServerMessage } from "./server-message.ts";
import type { ServerLink } from "./state.ts";

/** The part of a WebSocket that is used. */
export interface Socket {
  onopen: ((event: Event) => void) | null;
  onmessage: ((event: MessageEvent) => void) | null;
  onclose: ((event: CloseEvent) => void) | null;
  send(text: string): void;
  close(): void;
}

/** What the browser tells about the network and the page; true often enough to act on, never enough to rely on. */
export type Hint = "online" | "offline" | "visible";

export interface SignalingSetup {
  /** Opens a socket with the subprotocol; may throw, as `new WebSocket` does. */
  openSocket(): Socket;
  clock: Clock;
  random(): number;
  /** Asked for each connection, so that it always carries the newest resume token. */
  hello(): Omit<Hello, "type">;
  onLink(link: ServerLink): void;
  /** Gets `welcome` too: the session is open from then on. */
  onMessage(message: ServerMessage): void;
}

/** From opening the socket to `welcome`. */
const WELCOME_MS = 10_000;
/** Whoever has not heard what a node says so often (rule T6) asks it. */
const SILENCE_MS = STATUS_MS + 1_000;
/**
 * How long a node has to answer when there is reason to doubt that it is there. A node that hangs takes its sessions with
 * it when its lease (5 s) and the grace (20 s) are over: until then they can be resumed elsewhere.
 */
const PROBE_MS = 4_000;
/** A connection that lasted this long starts the back-off anew. */
const LASTED_MS = 10_000;
const MAX_WAITING_SENDS = 8;
const NOTHING_HEARD = 1006;

export class Signaling {
  readonly #setup: SignalingSetup;
  #socket: Socket | null = null;
  #open = false;
  #openedAt = 0;
  #attempt = 0;
  #retryAfter: number | undefined;
  #full = false;
  #banned: Banned | null = null;
  readonly #waiting: (Block | Report | Quality)[] = [];
  #stopSilence = () => {};
  #stopRetry = () => {};
  #retrying = false;

  constructor(setup: SignalingSetup) {
    this.#setup = setup;
  }

  /** Whether messages reach the node right now. */
  get open(): boolean {
    return this.#open;
  }

  /** Opens the connection, at the start and after it was closed for good. */
  connect(): void {
    if (this.#socket || this.#retrying) return;
    this.#attempt = 0;
    this.#banned = null;
    this.#setup.onLink({ state: "connecting" });
    this.#openSocket();
  }

  /** False when the message was not sent and never will be. */
  send(message: Exclude<ClientMessage, Hello>): boolean {
    if (this.#open && this.#socket) {
      this.#socket.send(JSON.stringify(message));
      return true;
    }
    const { type } = message;
    const lasting = type === "block" || type === "report" || type === "quality";
    if (!lasting || this.#waiting.length >= MAX_WAITING_SENDS) return false;
    this.#waiting.push(message);
    return true;
  }

  hint(hint: Hint): void {
    if (this.#retrying && hint !== "offline") {
      this.#openSocket();
    } else if (this.#open) {
      this.#probe();
    }
  }

  #openSocket(): void {
    this.#dropSocket();
    this.#full = false;
    let socket: Socket;
    try {
      socket = this.#setup.openSocket();
    } catch {
      return this.#lost(NOTHING_HEARD);
    }
    this.#socket = socket;
    // A socket that was dropped may still deliver: its callbacks are gone, and they check that they are meant.
    socket.onopen = () => {
      if (this.#socket !== socket) return;
      socket.send(JSON.stringify({ type: "hello", ...this.#setup.hello() } satisfies Hello));
    };
    socket.onmessage = (event) => {
      if (this.#socket === socket) this.#receive(event.data);
    };
    socket.onclose = (event) => {
      if (this.#socket === socket) this.#lost(event.code);
    };
    this.#expectWithin(WELCOME_MS);
  }

  #dropSocket(): void {
    this.#stopRetry();
    this.#retrying = false;
    this.#stopSilence();
    this.#open = false;
    const socket = this.#socket;
    if (!socket) return;
    this.#socket = null;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #receive(frame: unknown): void {
    if (this.#open) this.#probeAfterSilence();
    const message = parseServerMessage(frame);
    if (!message) return;
    if (message.type === "welcome") {
      this.#open = true;
      this.#openedAt = this.#setup.clock.now();
      this.#retryAfter = undefined;
      this.#probeAfterSilence();
      for (const kept of this.#waiting.splice(0)) this.send(kept);
    } else if (message.type === "banned") {
      this.#banned = message;
    } else if (message.type === "drain") {
      this.#leaveLater(message.after);
    } else if (message.type === "error" && !this.#open) {
      this.#retryAfter = message.retryAfter;
      this.#full = message.code === "too_many_sessions";
    }
    this.#setup.onMessage(message);
    // After the message, which decides what is left to go on with.
    if (message.type === "welcome") this.#setup.onLink({ state: "open" });
  }

  #probeAfterSilence(): void {
    this.#stopSilence();
    this.#stopSilence = this.#setup.clock.after(SILENCE_MS, () => this.#probe());
  }

  #probe(): void {
    this.send({ type: "ping" });
    this.#expectWithin(PROBE_MS);
  }

  #expectWithin(ms: number): void {
    this.#stopSilence();
    this.#stopSilence = this.#setup.clock.after(ms, () => this.#lost(NOTHING_HEARD));
  }

  #leaveLater(after: number): void {
    const { clock, random } = this.#setup;
    this.#stopRetry();
    this.#stopRetry = clock.after(drainDelay(after, random()), () => {
      this.#setup.onLink({ state: "reconnecting", attempt: 0 });
      this.#openSocket();
    });
  }

  #lost(code: number): void {
    const { clock, random, onLink } = this.#setup;
    if (this.#open && clock.now() - this.#openedAt >= LASTED_MS) this.#attempt = 0;
    this.#dropSocket();
    const delay = reconnectDelay({
      attempt: this.#attempt,
      code,
      retryAfter: this.#retryAfter,
      random: random(),
    });
    if (delay === null) return onLink(this.#closed(code));
    this.#attempt += 1;
    this.#retrying = true;
    this.#stopRetry = clock.after(delay, () => this.#openSocket());
    onLink({ state: "reconnecting", attempt: this.#attempt, full: this.#full || undefined });
  }

  #closed(code: number): ServerLink {
    switch (code) {
      case CloseCode.banned:
        return { state: "closed", why: "banned", until: this.#banned?.until, reason: this.#banned?.reason };
      case CloseCode.flooding:
        return { state: "closed", why: "flooding" };
      case CloseCode.superseded:
        return { state: "closed", why: "superseded" };
      case CloseCode.notAdmitted:
        return { state: "closed", why: "notAdmitted" };
      default:
        return { state: "closed", why: "violation" };
    }
  }
}
