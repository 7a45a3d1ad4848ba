/** What a connection wants, told by the first bytes that it sends. */
import type { Socket } from "node:net";

export type Speech = "tls" | "http" | "stun" | "unknown";

/**
 * TLS begins with a handshake record (22). A STUN message begins with two zero bits and the small number of its method
 * (RFC 7983 has it at 0 to 3). A request of HTTP begins with a letter, which some precede by an empty line.
 */
export function speechOf(first: number): Speech {
  if (first === 22) return "tls";
  if (first <= 3) return "stun";
  const letter = first | 0x20;
  return (letter >= 0x61 && letter <= 0x7a) || first === 0x0d || first === 0x0a ? "http" : "unknown";
}

/**
 * Reads until `enough`, then gives the bytes back to the socket and calls `then`. The socket is paused then and holds
 * every byte it got; who takes it over resumes it. One that ends before is destroyed; one that is destroyed calls
 * nothing.
 */
export function peek(
  socket: Socket,
  enough: (bytes: Buffer) => boolean,
  then: (bytes: Buffer) => void,
): void {
  let bytes: Buffer | undefined;
  const onData = (chunk: Buffer): void => {
    bytes = bytes === undefined ? chunk : Buffer.concat([bytes, chunk]);
    if (!enough(bytes)) return;
    socket.removeListener("data", onData);
    socket.removeListener("end", destroy);
    socket.pause();
    socket.unshift(bytes);
    then(bytes);
  };
  socket.on("data", onData);
  socket.on("end", destroy);
}

function destroy(this: Socket): void {
  this.destroy();
}

/** The first byte is there. */
export const anything = (): boolean => true;

/** The first record of TLS is there as a whole, or it cannot become one. */
export function wholeRecord(bytes: Buffer): boolean {
  if (bytes[0] !== 22) return true;
  // The type, two bytes of version, two of length; a record holds at most 16 KiB.
  return bytes.length >= 5 && bytes.length >= 5 + Math.min(bytes.readUInt16BE(3), 16_384);
}

const ACME = Buffer.from("\u000aacme-tls/1");

/** Whether a first record offers `acme-tls/1`, as only an authority does that checks a domain (RFC 8737). */
export const offersAcme = (record: Buffer): boolean => record.includes(ACME);
