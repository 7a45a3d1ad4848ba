/** A client of STUN and TURN for tests and benchmarks (RFC 8489, RFC 8656): as little as asks for what a browser asks. */
import { createHash, createHmac, randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect as connectTcp, isIPv6 } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Credentials } from "./credentials.ts";
import { bytesOf, textOf } from "./address-bytes.ts";
import { lengthOf } from "./records.ts";

export const METHOD = { binding: 1, allocate: 3, refresh: 4, send: 6, permit: 8, bindChannel: 9 } as const;
export const ATTRIBUTE = {
  username: 0x06,
  integrity: 0x08,
  error: 0x09,
  channel: 0x0c,
  lifetime: 0x0d,
  peer: 0x12,
  data: 0x13,
  realm: 0x14,
  nonce: 0x15,
  relayed: 0x16,
  family: 0x17,
  transport: 0x19,
  mapped: 0x20,
} as const;
/** The bit that tells an indication from a request. */
const INDICATION = 0x10;
const COOKIE = 0x2112a442;

export interface Place {
  address: string;
  port: number;
}

export interface Answer {
  /** 0 when it is a success, else the error's code. */
  code: number;
  attributes: Map<number, Buffer>;
  bytes: Buffer;
}

/** What is XORed with a transaction's id has to know it. */
type Value = Buffer | ((id: Buffer) => Buffer);

export interface TurnOptions {
  transport: "udp" | "tcp" | "tls";
  host: string;
  port: number;
  credentials?: Credentials;
  /** For UDP: the address to come from. */
  from?: string;
}

export class TurnClient {
  /** Data that came through a channel. Valid until the function returns. */
  onData: (channel: number, data: Buffer) => void = () => {};
  /** The last request with a signature, as it went out. */
  lastSigned: Buffer = Buffer.alloc(0);
  readonly #credentials: Credentials | undefined;
  readonly #send: (bytes: Buffer) => void;
  readonly close: () => void;
  readonly #waiting = new Map<string, (answer: Answer) => void>();
  readonly closed: Promise<void>;
  readonly #stream: boolean;
  #rest: Buffer = Buffer.alloc(0);
  #realm = "";
  #nonce: Buffer = Buffer.alloc(0);
  #key: Buffer = Buffer.alloc(0);

  private constructor(
    credentials: Credentials | undefined,
    stream: boolean,
    wire: { send(bytes: Buffer): void; close(): void; closed: Promise<void> },
  ) {
    this.#credentials = credentials;
    this.#stream = stream;
    this.#send = wire.send;
    this.close = wire.close;
    this.closed = wire.closed;
  }

  static async connect({ transport, host, port, credentials, from }: TurnOptions): Promise<TurnClient> {
    if (transport === "udp") {
      const socket = createSocket(isIPv6(host) ? "udp6" : "udp4");
      if (from !== undefined) {
        socket.bind(0, from);
        await once(socket, "listening");
      }
      socket.connect(port, host);
      await once(socket, "connect");
      socket.on("error", () => {});
      const client = new TurnClient(credentials, false, {
        send: (bytes) => socket.send(bytes),
        close: () => socket.close(),
        closed: new Promise((resolve) => void socket.once("close", resolve)),
      });
      socket.on("message", (bytes) => client.#take(bytes));
      return client;
    }
    const socket =
      transport === "tls"
        ? connectTls({ host, port, rejectUnauthorized: false, ALPNProtocols: ["stun.turn"] })
        : connectTcp(port, host);
    socket.setNoDelay(true);
    await once(socket, transport === "tls" ? "secureConnect" : "connect");
    socket.on("error", () => {});
    const client = new TurnClient(credentials, true, {
      send: (bytes) => void socket.write(bytes),
      close: () => socket.destroy(),
      closed: new Promise((resolve) => void socket.once("close", () => resolve())),
    });
    socket.on("data", (bytes: Buffer) => client.#takeStream(bytes));
    return client;
  }

  /** Asks, over UDP again and again until there is an answer, and signs once the server has said how. */
  async ask(method: number, attributes: readonly [number, Value][] = []): Promise<Answer> {
    const first = await this.#exchange(this.#message(method, attributes));
    if ((first.code !== 401 && first.code !== 438) || this.#credentials === undefined) return first;
    this.#realm = first.attributes.get(ATTRIBUTE.realm)!.toString();
    this.#nonce = first.attributes.get(ATTRIBUTE.nonce)!;
    const { username, credential } = this.#credentials;
    this.#key = createHash("md5").update(`${username}:${this.#realm}:${credential}`).digest();
    return this.#exchange(this.#message(method, attributes));
  }

  /** Sends any bytes, and resolves with the answer to the request that they are. */
  raw(bytes: Buffer): Promise<Answer> {
    return this.#exchange(bytes);
  }

  /** Sends any bytes. */
  say(bytes: Buffer): void {
    this.#send(bytes);
  }

  /** The place of the client as the server sees it. */
  async mapped(): Promise<Place> {
    const { attributes, bytes } = await this.ask(METHOD.binding);
    return placeOf(attributes.get(ATTRIBUTE.mapped)!, bytes);
  }

  allocate(family: 4 | 6 = 4): Promise<Answer> {
    return this.ask(METHOD.allocate, [
      [ATTRIBUTE.transport, Buffer.from([17, 0, 0, 0])],
      ...(family === 6 ? [[ATTRIBUTE.family, Buffer.from([2, 0, 0, 0])] as [number, Buffer]] : []),
    ]);
  }

  /** @throws Error with the code when it is refused */
  async allocated(family: 4 | 6 = 4): Promise<Place> {
    const { code, attributes, bytes } = await this.allocate(family);
    if (code !== 0) throw new Error(`refused with ${code}`);
    return placeOf(attributes.get(ATTRIBUTE.relayed)!, bytes);
  }

  permit(peer: Place): Promise<Answer> {
    return this.ask(METHOD.permit, [[ATTRIBUTE.peer, xored(peer)]]);
  }

  bindChannel(channel: number, peer: Place): Promise<Answer> {
    const number = Buffer.alloc(4);
    number.writeUInt16BE(channel);
    return this.ask(METHOD.bindChannel, [
      [ATTRIBUTE.channel, number],
      [ATTRIBUTE.peer, xored(peer)],
    ]);
  }

  /** Sends data to a peer without a channel. */
  indicate(peer: Place, data: Buffer): void {
    this.#send(
      this.#message(METHOD.send | INDICATION, [
        [ATTRIBUTE.peer, xored(peer)],
        [ATTRIBUTE.data, data],
      ]),
    );
  }

  /** Lets the allocation go. */
  release(): Promise<Answer> {
    return this.ask(METHOD.refresh, [[ATTRIBUTE.lifetime, Buffer.alloc(4)]]);
  }

  send(channel: number, data: Buffer): void {
    const padded = this.#stream ? Math.ceil(data.length / 4) * 4 : data.length;
    const bytes = Buffer.alloc(4 + padded);
    bytes.writeUInt16BE(channel);
    bytes.writeUInt16BE(data.length, 2);
    data.copy(bytes, 4);
    this.#send(bytes);
  }

  #message(method: number, attributes: readonly [number, Value][]): Buffer {
    const signed = this.#key.length > 0 && (method & INDICATION) === 0;
    const all = signed
      ? [
          ...attributes,
          [ATTRIBUTE.username, Buffer.from(this.#credentials!.username)] as const,
          [ATTRIBUTE.realm, Buffer.from(this.#realm)] as const,
          [ATTRIBUTE.nonce, this.#nonce] as const,
        ]
      : attributes;
    const id = randomBytes(12);
    const body = Buffer.concat(
      all.map(([type, value]) => attribute(type, typeof value === "function" ? value(id) : value)),
    );
    const header = Buffer.alloc(20);
    header.writeUInt16BE(method);
    header.writeUInt16BE(body.length + (signed ? 24 : 0), 2);
    header.writeUInt32BE(COOKIE, 4);
    id.copy(header, 8);
    const message = Buffer.concat([header, body]);
    if (!signed) return message;
    const integrity = createHmac("sha1", this.#key).update(message).digest();
    return (this.lastSigned = Buffer.concat([message, attribute(ATTRIBUTE.integrity, integrity)]));
  }

  #exchange(bytes: Buffer): Promise<Answer> {
    const id = bytes.toString("hex", 8, 20);
    return new Promise((resolve, reject) => {
      const again = this.#stream ? undefined : setInterval(() => this.#send(bytes), 500);
      const end = (): void => {
        clearInterval(again);
        this.#waiting.delete(id);
      };
      this.#waiting.set(id, (answer) => {
        end();
        resolve(answer);
      });
      void this.closed.then(() => {
        end();
        reject(new Error("the server has closed the connection"));
      });
      this.#send(bytes);
    });
  }

  #takeStream(bytes: Buffer): void {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    for (
      let length = lengthOf(this.#rest);
      length > 0 && length <= this.#rest.length;
      length = lengthOf(this.#rest)
    ) {
      this.#take(this.#rest.subarray(0, length));
      this.#rest = this.#rest.subarray(length);
    }
  }

  #take(bytes: Buffer): void {
    if (bytes[0]! >> 6 === 1) {
      this.onData(bytes.readUInt16BE(0), bytes.subarray(4, 4 + bytes.readUInt16BE(2)));
      return;
    }
    const attributes = new Map<number, Buffer>();
    for (let at = 20; at + 4 <= bytes.length;) {
      const length = bytes.readUInt16BE(at + 2);
      attributes.set(bytes.readUInt16BE(at), bytes.subarray(at + 4, at + 4 + length));
      at += 4 + Math.ceil(length / 4) * 4;
    }
    const error = attributes.get(ATTRIBUTE.error);
    const code = error ? error[2]! * 100 + error[3]! : 0;
    this.#waiting.get(bytes.toString("hex", 8, 20))?.({ code, attributes, bytes });
  }
}

function attribute(type: number, value: Buffer): Buffer {
  const bytes = Buffer.alloc(4 + Math.ceil(value.length / 4) * 4);
  bytes.writeUInt16BE(type);
  bytes.writeUInt16BE(value.length, 2);
  value.copy(bytes, 4);
  return bytes;
}

/** An address XORed with the cookie, and of IPv6 with the transaction's id too. */
const xored =
  ({ address, port }: Place) =>
  (id: Buffer): Buffer => {
    const bytes = bytesOf(address);
    const head = Buffer.from([0, bytes.length === 4 ? 1 : 2, 0, 0]);
    head.writeUInt16BE(port ^ (COOKIE >>> 16), 2);
    return Buffer.concat([head, xor(bytes, id)]);
  };

function xor(bytes: Buffer, id: Buffer): Buffer {
  const mask = Buffer.alloc(16);
  mask.writeUInt32BE(COOKIE);
  id.copy(mask, 4);
  return Buffer.from(bytes.map((byte, index) => byte ^ mask[index]!));
}

function placeOf(value: Buffer, message: Buffer): Place {
  const bytes = xor(value.subarray(4), message.subarray(8, 20));
  return {
    address: textOf(bytes),
    port: value.readUInt16BE(2) ^ (COOKIE >>> 16),
  };
}
