/** Z85, ZeroMQ's text form of binary keys (rfc.zeromq.org/spec/32): 4 bytes become 5 printable characters. */

const ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/** @throws RangeError when the number of bytes is no multiple of 4. */
export function z85(bytes: Uint8Array): string {
  if (bytes.length % 4 !== 0) throw new RangeError("Z85 encodes a multiple of 4 bytes");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let text = "";
  for (let at = 0; at < bytes.length; at += 4) {
    const value = view.getUint32(at);
    for (let divisor = 85 ** 4; divisor >= 1; divisor /= 85)
      text += ALPHABET[Math.floor(value / divisor) % 85];
  }
  return text;
}
