/** IP addresses as bytes, in the order of the network. */
import { isIPv4 } from "node:net";

/** 4 or 16; what is IPv4 inside IPv6, as sockets for both have it, counts as IPv4. A zone (`%eth0`) is left out. */
export function bytesOf(address: string): Buffer {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "");
  if (isIPv4(plain)) return Buffer.from(plain.split(".").map(Number));
  // As a URL has it: without a dotted end, shortened at one place.
  const [head = "", tail = ""] = new URL(`http://[${plain}]`).hostname.slice(1, -1).split("::");
  const words = (text: string): number[] =>
    text === "" ? [] : text.split(":").map((word) => Number.parseInt(word, 16));
  const [left, right] = [words(head), words(tail)];
  const bytes = Buffer.alloc(16);
  for (const [at, word] of left.entries()) bytes.writeUInt16BE(word, at * 2);
  for (const [at, word] of right.entries()) bytes.writeUInt16BE(word, 16 - (right.length - at) * 2);
  return bytes;
}

/** The other way round, IPv6 in its shortest form. */
export function textOf(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join(".");
  const words = bytes.toString("hex").match(/.{4}/g)!;
  return new URL(`http://[${words.join(":")}]`).hostname.slice(1, -1);
}
