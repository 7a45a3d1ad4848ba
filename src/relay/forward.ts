/**
 * Hands connections of the shared port on which STUN or TURN is spoken to coturn, over loopback and with the PROXY
 * protocol, so that it sees whose they are. Nothing is judged here: coturn does that, ends who takes too long to get an
 * allocation, and drops what a slow client does not take.
 */
import { connect, type Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { bytesOf } from "./address-bytes.ts";
import { pipeMessages } from "./records.ts";

/** Why a connection was not handed on. */
export type NotForwarded = "crowded" | "rate_limited" | "relay_down";

export interface ForwardParts {
  /** coturn's port for the PROXY protocol, on loopback. */
  readonly port: number;
  readonly max: number;
  /** Whether one more of this address is let in. */
  admits(address: string): boolean;
  /** Count. */
  forwarded(): void;
  refused(why: NotForwarded): void;
}

export interface Forwarder {
  /** See `onStun` of `sharePort`. */
  take(socket: Socket): void;
  readonly streams: number;
  /** Ends all. */
  close(): void;
}

export function forwardTo(parts: ForwardParts): Forwarder {
  const streams = new Set<Socket>();
  return {
    take(socket) {
      const { remoteAddress, remotePort, localAddress, localPort } = socket;
      const refuse = (why: NotForwarded): void => {
        parts.refused(why);
        socket.destroy();
      };
      // Gone already.
      if (remoteAddress === undefined || remotePort === undefined) return void socket.destroy();
      if (streams.size >= parts.max) return refuse("crowded");
      if (!parts.admits(remoteAddress)) return refuse("rate_limited");
      streams.add(socket);
      let reached = false;
      const upstream = connect({ port: parts.port, host: "127.0.0.1", noDelay: true }, () => {
        reached = true;
        parts.forwarded();
      });
      const from = { address: remoteAddress, port: remotePort };
      upstream.write(proxyHeader(from, { address: localAddress ?? "127.0.0.1", port: localPort ?? 0 }));
      socket.setNoDelay(true);
      socket.on("error", ignore);
      upstream.on("error", ignore);
      upstream.once("close", () => {
        if (!reached && !socket.destroyed) refuse("relay_down");
        else socket.destroy();
      });
      socket.once("close", () => {
        streams.delete(socket);
        upstream.destroy();
      });
      // Each side is read only as fast as the other takes it.
      socket.pipe(upstream);
      if (socket instanceof TLSSocket) pipeMessages(upstream, socket);
      else upstream.pipe(socket);
    },
    get streams() {
      return streams.size;
    },
    close() {
      for (const socket of streams) socket.destroy();
    },
  };
}

/** It closes, and that is seen. */
function ignore(): void {}

export interface End {
  readonly address: string;
  readonly port: number;
}

const SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");

/** The header of the PROXY protocol, version 2. Both ends are of one family: a connection is. */
export function proxyHeader(from: End, to: End): Buffer {
  const [source, target] = [bytesOf(from.address), bytesOf(to.address)];
  const isV4 = source.length === 4 && target.length === 4;
  const [a, b] = isV4 ? [source, target] : [mapped(source), mapped(target)];
  const header = Buffer.alloc(SIGNATURE.length + 4);
  SIGNATURE.copy(header);
  header[12] = 0x21; // version 2, of a connection
  header[13] = isV4 ? 0x11 : 0x21; // TCP
  header.writeUInt16BE(a.length + b.length + 4, 14);
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(from.port, 0);
  ports.writeUInt16BE(to.port, 2);
  return Buffer.concat([header, a, b, ports]);
}

/** The header of a connection of our own. */
export const localHeader = (): Buffer => Buffer.concat([SIGNATURE, Buffer.from([0x20, 0, 0, 0])]);

const mapped = (bytes: Buffer): Buffer =>
  bytes.length === 16 ? bytes : Buffer.concat([Buffer.alloc(10), Buffer.from([0xff, 0xff]), bytes]);
