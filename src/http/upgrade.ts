import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";

export type UpgradeListener = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** How long a client may take to read why it was refused. */
const READ_TIMEOUT_MS = 2_000;

/** Answers a request for an upgrade with a status and a line of text. `headers` are whole lines. */
export function refuseUpgrade(socket: Duplex, status: number, why: string, headers = ""): void {
  socket.on("error", ignore);
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n` +
      `Content-Length: ${Buffer.byteLength(why) + 1}\r\n${headers}\r\n${why}\n`,
  );
  // A client that never reads the answer must not keep the socket.
  setTimeout(() => socket.destroy(), READ_TIMEOUT_MS).unref();
}

function ignore(): void {}
