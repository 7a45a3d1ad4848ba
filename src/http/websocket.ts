/** `/ws`: turns an upgrade request into a connection of the node (T1–T3). */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocket, WebSocketServer } from "ws";
import type { RawData, ServerOptions } from "ws";
import type { Connection } from "../node/connection.ts";
import type { Came } from "../node/came.ts";
import type { Socket } from "../node/socket.ts";
import { MAX_FRAME_BYTES } from "../protocol/limits.ts";
import { SUBPROTOCOL } from "../protocol/messages.ts";
import { cameBy } from "./came.ts";
import type { ClientOf } from "./client.ts";
import { refuseUpgrade, type UpgradeListener } from "./upgrade.ts";

/** Where new connections go. */
export interface Acceptor {
  accept(socket: Socket, address: string | undefined, came: Came): Connection;
  /** A key for the address, undefined where addresses do not count. */
  keyOf(address: string): string | undefined;
  /** Counts a new connection: 0 when it is allowed, else the seconds until it is. */
  takeConnection(key: string | undefined): number;
  /** Whether new connections are taken at all; false while the node drains. */
  isOpen(): boolean;
}

/** How long a peer may take over the closing handshake. */
const CLOSE_TIMEOUT_MS = 2_000;
/** A message may come in pieces; each of one byte costs a hundred in memory, so it may not come in any number. */
const MAX_FRAGMENTS = 256;
const MAX_CHUNKS = 1024;

/** Options of ws that its types do not know yet. */
interface Limits {
  closeTimeout: number;
  maxFragments: number;
  maxBufferedChunks: number;
}

export function websocketUpgrade(acceptor: Acceptor, client: ClientOf): UpgradeListener {
  const options: ServerOptions<typeof VisitorSocket> & Limits = {
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MAX_FRAME_BYTES,
    maxFragments: MAX_FRAGMENTS,
    maxBufferedChunks: MAX_CHUNKS,
    closeTimeout: CLOSE_TIMEOUT_MS,
    WebSocket: VisitorSocket,
    handleProtocols: () => SUBPROTOCOL,
  };
  const server = new WebSocketServer(options);
  return (request, socket, head) => {
    const refuse = (status: number, why: string, headers?: string): void =>
      refuseUpgrade(socket, status, why, headers);
    if (request.url?.split("?")[0] !== "/ws") return refuse(404, "The WebSocket is at /ws.");
    if (!offersSubprotocol(request)) return refuse(400, `Offer the subprotocol ${SUBPROTOCOL}.`);
    if (!client.originAllowed(request)) return refuse(403, "Pages of this origin may not connect.");
    if (!acceptor.isOpen()) return refuse(503, "This node is going away.", "Retry-After: 1\r\n");
    const key = acceptor.keyOf(client.address(request));
    const came = cameBy(request, client);
    const wait = acceptor.takeConnection(key);
    if (wait > 0) return refuse(429, "Too many connections.", `Retry-After: ${Math.ceil(wait)}\r\n`);
    // ws answers 400 or 405 by itself to what is no WebSocket handshake.
    server.handleUpgrade(request, socket, head, (websocket) => {
      websocket.begin(socket, (self) => acceptor.accept(self, key, came));
    });
  };
}

function ignore(): void {}

function offersSubprotocol(request: IncomingMessage): boolean {
  const offered = request.headers["sec-websocket-protocol"];
  return offered !== undefined && offered.split(",").some((name) => name.trim() === SUBPROTOCOL);
}

/**
 * ws's socket as the node wants it: a class of its own, with listeners that are shared functions, because an idle
 * connection should cost little.
 */
class VisitorSocket extends WebSocket implements Socket {
  #connection: Connection | undefined;
  #stream: Duplex | undefined;
  #corked = false;

  begin(stream: Duplex, accept: (socket: Socket) => Connection): void {
    this.#stream = stream;
    this.#connection = accept(this);
    this.on("message", onMessage);
    this.on("pong", onPong);
    this.on("close", onClose);
    // ws closes the connection itself, with the code that fits (1009 for a frame that is too large, T2).
    this.on("error", ignore);
  }

  get connection(): Connection {
    return this.#connection!;
  }

  override send(text: string | Uint8Array): void {
    if (!this.#corked) {
      this.#corked = true;
      this.#stream?.cork();
      if (corked.length === 0) setImmediate(uncorkAll);
      corked.push(this);
    }
    super.send(text, TEXT_FRAME);
  }

  unsent(): number {
    return this.bufferedAmount;
  }

  uncork(): void {
    this.#corked = false;
    this.#stream?.uncork();
  }
}

const TEXT_FRAME = { binary: false };

/** Sockets with something to write in this turn of the event loop: each gets one write for all of it. */
let corked: VisitorSocket[] = [];

function uncorkAll(): void {
  const sockets = corked;
  corked = [];
  for (const socket of sockets) socket.uncork();
}

function onMessage(this: WebSocket, data: RawData, isBinary: boolean): void {
  (this as VisitorSocket).connection.onFrame(data as Buffer, isBinary);
}
function onPong(this: WebSocket): void {
  (this as VisitorSocket).connection.onPong();
}
function onClose(this: WebSocket): void {
  (this as VisitorSocket).connection.onSocketClosed();
}
