/**
 * Passes what coturn says over TLS on, each message in a record of its own. TURN over TLS is a stream and this is not asked
 * for, but coturn itself does so, and there are clients, its own among them, that take the end of a record for the end of
 * a message.
 */
import type { Socket } from "node:net";

/**
 * So much may wait for a client that reads slowly; then coturn is not read any more, and drops what it cannot say. More
 * than the longest message (65,555 bytes), of which the end would never come.
 */
const MAX_WAITING_BYTES = 128 * 1024;

export function pipeMessages(from: Socket, to: Socket): void {
  let waiting: Buffer = Buffer.alloc(0);
  let writing = false;
  const writeNext = (): void => {
    const length = lengthOf(waiting);
    writing = length <= waiting.length && length > 0;
    if (waiting.length < MAX_WAITING_BYTES && from.isPaused()) from.resume();
    if (!writing) return;
    const message = waiting.subarray(0, length);
    waiting = waiting.subarray(length);
    // What is written while a write is under way would be joined with it.
    to.write(message, writeNext);
  };
  from.on("data", (bytes: Buffer) => {
    waiting = waiting.length === 0 ? bytes : Buffer.concat([waiting, bytes]);
    if (waiting.length >= MAX_WAITING_BYTES) from.pause();
    if (!writing) writeNext();
  });
  from.once("end", () => to.end(waiting));
}

/**
 * The length of the message that bytes begin with: STUN, or data of a channel, which over TCP is padded to four bytes
 * (RFC 8656). Longer than the bytes when the message is not there as a whole; 0 for no bytes.
 */
export function lengthOf(bytes: Buffer): number {
  if (bytes.length === 0) return 0;
  if (bytes.length < 4) return 4;
  const length = bytes.readUInt16BE(2);
  switch (bytes[0]! >> 6) {
    case 0:
      return 20 + length;
    case 1:
      return 4 + Math.ceil(length / 4) * 4;
    default:
      return bytes.length;
  }
}
