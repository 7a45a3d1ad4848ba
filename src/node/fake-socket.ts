import type { ServerMessage } from "../protocol/messages.ts";
import type { Socket } from "./socket.ts";

/** A socket for tests: keeps what it was told to do. */
export class FakeSocket implements Socket {
  readonly sent: ServerMessage[] = [];
  closed: { code: number; reason: string } | undefined;
  pings = 0;
  /** What `unsent` answers: as a client would make it grow that does not read. */
  backlog = 0;

  send(text: string | Uint8Array): void {
    if (this.closed) throw new Error("the socket is closed");
    this.sent.push(JSON.parse(String(typeof text === "string" ? text : Buffer.from(text))) as ServerMessage);
  }
  close(code: number, reason: string): void {
    this.closed = { code, reason };
  }
  terminate(): void {
    this.closed = { code: 1006, reason: "" };
  }
  ping(): void {
    this.pings += 1;
  }
  unsent(): number {
    return this.backlog;
  }

  /** What was sent since this was last asked. */
  take(): ServerMessage[] {
    return this.sent.splice(0);
  }
}
