/**
 * WebSocket clients that cost as little as can be, so that one process can keep a server busy: bare sockets, frames
 * made in advance and masked with zeros, answers looked at only where somebody asks.
 */
import { randomUUID } from "node:crypto";
import { createConnection } from "node:net";
import type { Socket } from "node:net";

/** One masked text frame. */
export function frame(text: string): Buffer {
  const payload = Buffer.from(text);
  const length = payload.length;
  const head =
    length < 126
      ? Buffer.from([0x81, 0x80 | length, 0, 0, 0, 0])
      : Buffer.from([0x81, 0x80 | 126, length >> 8, length & 255, 0, 0, 0, 0]);
  if (length > 0xffff) throw new Error("the wire has no frames of that size");
  return Buffer.concat([head, payload]);
}

const PONG = Buffer.from([0x8a, 0x80, 0, 0, 0, 0]);

export class Wire {
  /** Called with each text that comes. */
  onText: (text: Buffer) => void = () => {};
  readonly #socket: Socket;
  #rest: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("error", () => {});
  }

  static open(port: number, path: string, protocol?: string): Promise<Wire> {
    const socket = createConnection(port, "127.0.0.1");
    const wire = new Wire(socket);
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
        `${protocol ? `Sec-WebSocket-Protocol: ${protocol}\r\n` : ""}\r\n`,
    );
    return new Promise((resolve, reject) => {
      let answer: Buffer = Buffer.alloc(0);
      const read = (data: Buffer): void => {
        answer = Buffer.concat([answer, data]);
        const end = answer.indexOf("\r\n\r\n");
        if (end < 0) return;
        if (!answer.toString("latin1", 0, 12).endsWith("101")) return reject(new Error(String(answer)));
        socket.off("data", read);
        socket.on("data", (more: Buffer) => wire.#read(more));
        resolve(wire);
        const early = answer.subarray(end + 4);
        if (early.length > 0) setImmediate(() => wire.#read(early));
      };
      socket.on("data", read);
      socket.on("close", () => reject(new Error("the server hung up")));
    });
  }

  send(made: Buffer): void {
    this.#socket.write(made);
  }

  say(message: unknown): void {
    this.send(frame(typeof message === "string" ? message : JSON.stringify(message)));
  }

  /** The next text in which `marker` stands. */
  next(marker: string): Promise<string> {
    return new Promise((resolve) => {
      this.onText = (text) => {
        if (!text.includes(marker)) return;
        this.onText = () => {};
        resolve(String(text));
      };
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(data: Buffer): void {
    const all = this.#rest.length > 0 ? Buffer.concat([this.#rest, data]) : data;
    let at = 0;
    while (all.length - at >= 2) {
      const short = all[at + 1]!;
      const head = short === 126 ? 4 : short === 127 ? 10 : 2;
      if (all.length - at < head) break;
      const length =
        short === 126 ? all.readUInt16BE(at + 2) : short === 127 ? all.readUInt32BE(at + 6) : short;
      if (all.length - at < head + length) break;
      const kind = all[at]! & 15;
      if (kind === 1) this.onText(all.subarray(at + head, at + head + length));
      else if (kind === 9) this.send(PONG);
      at += head + length;
    }
    this.#rest = all.subarray(at);
  }
}

/** How a client of one kind of server comes in, meets another one, and signals. */
export interface Dialect {
  open(port: number): Promise<Client>;
  /** Makes the two partners. */
  pair(a: Client, b: Client): Promise<void>;
  /** What `from` sends to reach its partner. */
  signal(from: Client, filling: string): string;
  /** What stands in every signal that arrives, and in nothing else. */
  readonly marker: string;
}

export interface Client {
  readonly wire: Wire;
  readonly id: string;
  /** What its signals name: the partner, or the pair. */
  to: string;
}

const acquainted = async (a: Client, b: Client): Promise<void> => {
  a.to = b.id;
  b.to = a.id;
};

export const dialects: Record<string, Dialect> = {
  chatrandom: {
    marker: '"signal"',
    async open(port) {
      const wire = await Wire.open(port, "/ws", "chatrandom.v1");
      wire.say({ type: "hello" });
      await wire.next('"welcome"');
      return { wire, id: "", to: "" };
    },
    async pair(a, b) {
      a.wire.say({ type: "find", mode: "text" });
      await a.wire.next('"waiting"');
      const matched = a.wire.next('"matched"');
      b.wire.say({ type: "find", mode: "text" });
      a.to = b.to = (JSON.parse(await matched) as { pair: string }).pair;
    },
    signal: ({ to }, filling) => JSON.stringify({ type: "signal", pair: to, data: { sdp: filling } }),
  },

  ws: {
    marker: '"signal"',
    async open(port) {
      const wire = await Wire.open(port, "/");
      const { id } = JSON.parse(await wire.next('"id"')) as { id: string };
      return { wire, id, to: "" };
    },
    pair: acquainted,
    signal: ({ to }, filling) => JSON.stringify({ type: "signal", to, data: { sdp: filling } }),
  },

  "socket.io": {
    marker: '"signal"',
    async open(port) {
      const wire = await Wire.open(port, "/socket.io/?EIO=4&transport=websocket");
      await wire.next("0{");
      wire.say("40");
      const { sid } = JSON.parse((await wire.next("40{")).slice(2)) as { sid: string };
      return { wire, id: sid, to: "" };
    },
    pair: acquainted,
    signal: ({ to }, filling) => `42${JSON.stringify(["signal", { to, data: { sdp: filling } }])}`,
  },

  peer: {
    marker: '"CANDIDATE"',
    async open(port) {
      const id = randomUUID();
      const wire = await Wire.open(port, `/peerjs?key=peerjs&id=${id}&token=t&version=1.5.4`);
      await wire.next('"OPEN"');
      return { wire, id, to: "" };
    },
    pair: acquainted,
    signal: ({ to }, filling) => JSON.stringify({ type: "CANDIDATE", dst: to, payload: { sdp: filling } }),
  },
};
