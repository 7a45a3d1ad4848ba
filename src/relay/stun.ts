/** STUN messages (RFC 8489) as far as a client of STUN and TURN (RFC 8656) needs them. Pure: bytes in, bytes out. */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { crc32 } from "node:zlib";
import { bytesOf, textOf } from "./address-bytes.ts";

export const METHOD = {
  binding: 0x001,
  allocate: 0x003,
  refresh: 0x004,
  send: 0x006,
  data: 0x007,
  createPermission: 0x008,
} as const;

export const ATTRIBUTE = {
  username: 0x0006,
  messageIntegrity: 0x0008,
  errorCode: 0x0009,
  lifetime: 0x000d,
  xorPeerAddress: 0x0012,
  data: 0x0013,
  realm: 0x0014,
  nonce: 0x0015,
  xorRelayedAddress: 0x0016,
  requestedTransport: 0x0019,
  xorMappedAddress: 0x0020,
  fingerprint: 0x8028,
} as const;

const KINDS = ["request", "indication", "success", "error"] as const;
export type Kind = (typeof KINDS)[number];

export type Attribute = readonly [type: number, value: Uint8Array];

export interface Message {
  readonly method: number;
  readonly kind: Kind;
  /** 12 bytes, random for each request. */
  readonly transaction: Uint8Array;
  readonly attributes: readonly Attribute[];
}

export interface Address {
  readonly address: string;
  readonly port: number;
}

export const HEADER_BYTES = 20;
const COOKIE = 0x2112a442;
const FINGERPRINT_XOR = 0x5354554e;
const INTEGRITY_BYTES = 20;

/** The key of long-term credentials. MD5 is what the protocol says. */
export const longTermKey = (username: string, realm: string, password: string): Buffer =>
  createHash("md5").update(`${username}:${realm}:${password}`).digest();

const padded = (length: number): number => (length + 3) & ~3;

/** Signed with `key`, if there is one. */
export function encode({ method, kind, transaction, attributes }: Message, key?: Uint8Array): Buffer {
  const size = attributes.reduce((sum, [, value]) => sum + 4 + padded(value.length), HEADER_BYTES);
  const bytes = Buffer.alloc(size + (key ? 4 + INTEGRITY_BYTES : 0));
  const classBits = KINDS.indexOf(kind);
  bytes.writeUInt16BE(
    (method & 0xf) |
      ((method & 0x70) << 1) |
      ((method & 0xf80) << 2) |
      ((classBits & 1) << 4) |
      ((classBits & 2) << 7),
    0,
  );
  bytes.writeUInt16BE(bytes.length - HEADER_BYTES, 2);
  bytes.writeUInt32BE(COOKIE, 4);
  bytes.set(transaction, 8);
  let at = HEADER_BYTES;
  const put = (type: number, value: Uint8Array): void => {
    bytes.writeUInt16BE(type, at);
    bytes.writeUInt16BE(value.length, at + 2);
    bytes.set(value, at + 4);
    at += 4 + padded(value.length);
  };
  for (const [type, value] of attributes) put(type, value);
  if (key) put(ATTRIBUTE.messageIntegrity, integrityOf(bytes, at, key));
  return bytes;
}

/** Undefined when it is no STUN message, or one whose fingerprint is wrong. */
export function decode(bytes: Buffer): Message | undefined {
  if (bytes.length < HEADER_BYTES || bytes[0]! > 0x3f || bytes.readUInt32BE(4) !== COOKIE) return undefined;
  if (bytes.readUInt16BE(2) !== bytes.length - HEADER_BYTES || bytes.length % 4 !== 0) return undefined;
  const type = bytes.readUInt16BE(0);
  const attributes: Attribute[] = [];
  for (const [name, at, value] of attributesOf(bytes)) {
    if (name === ATTRIBUTE.fingerprint && !hasFingerprint(bytes, at, value)) return undefined;
    attributes.push([name, value]);
  }
  return {
    method: (type & 0xf) | ((type & 0xe0) >> 1) | ((type & 0x3e00) >> 2),
    kind: KINDS[((type & 0x10) >> 4) | ((type & 0x100) >> 7)]!,
    transaction: bytes.subarray(8, HEADER_BYTES),
    attributes,
  };
}

/** Those that are whole, with where each begins. */
function* attributesOf(bytes: Buffer): Generator<[type: number, at: number, value: Buffer]> {
  for (let at = HEADER_BYTES; at + 4 <= bytes.length;) {
    const length = bytes.readUInt16BE(at + 2);
    if (at + 4 + length > bytes.length) return;
    yield [bytes.readUInt16BE(at), at, bytes.subarray(at + 4, at + 4 + length)];
    at += 4 + padded(length);
  }
}

const hasFingerprint = (bytes: Buffer, at: number, value: Buffer): boolean =>
  value.length === 4 && (crc32(bytes.subarray(0, at)) ^ FINGERPRINT_XOR) >>> 0 === value.readUInt32BE(0);

/** Whether the message was signed with `key`. What follows the signature is not covered by it. */
export function isSignedWith(bytes: Buffer, key: Uint8Array): boolean {
  for (const [type, at, value] of attributesOf(bytes)) {
    if (type !== ATTRIBUTE.messageIntegrity) continue;
    return value.length === INTEGRITY_BYTES && timingSafeEqual(value, integrityOf(bytes, at, key));
  }
  return false;
}

/** Over everything before the attribute at `at`, with a length in the header as if the message ended behind it. */
function integrityOf(bytes: Buffer, at: number, key: Uint8Array): Buffer {
  const covered = Buffer.from(bytes.subarray(0, at));
  covered.writeUInt16BE(at + 4 + INTEGRITY_BYTES - HEADER_BYTES, 2);
  return createHmac("sha1", key).update(covered).digest();
}

export const valueOf = ({ attributes }: Message, type: number): Buffer | undefined => {
  const found = attributes.find(([name]) => name === type)?.[1];
  return found && Buffer.from(found.buffer, found.byteOffset, found.length);
};

/** The code of an error and what the server says to it. */
export function errorOf(message: Message): { code: number; phrase: string } | undefined {
  const value = valueOf(message, ATTRIBUTE.errorCode);
  if (value === undefined || value.length < 4) return undefined;
  return { code: (value[2]! & 7) * 100 + value[3]!, phrase: value.toString("utf8", 4) };
}

/** An address, hidden from routers that would rewrite it: XORed with the cookie and the transaction. */
export function addressOf(message: Message, type: number): Address | undefined {
  const value = valueOf(message, type);
  if (value === undefined || (value.length !== 8 && value.length !== 20)) return undefined;
  if (value[1] !== (value.length === 8 ? 1 : 2)) return undefined;
  const bytes = xored(value.subarray(4), message.transaction);
  return { address: textOf(bytes), port: value.readUInt16BE(2) ^ (COOKIE >>> 16) };
}

export function addressValue({ address, port }: Address, transaction: Uint8Array): Buffer {
  const bytes = bytesOf(address);
  const value = Buffer.alloc(4 + bytes.length);
  value[1] = bytes.length === 4 ? 1 : 2;
  value.writeUInt16BE(port ^ (COOKIE >>> 16), 2);
  value.set(xored(bytes, transaction), 4);
  return value;
}

function xored(bytes: Uint8Array, transaction: Uint8Array): Buffer {
  const mask = Buffer.alloc(16);
  mask.writeUInt32BE(COOKIE, 0);
  mask.set(transaction, 4);
  return Buffer.from(bytes.map((byte, at) => byte ^ mask[at]!));
}
