/** Carries STUN messages to a server and back: datagrams over UDP, a stream of messages over TCP and TLS. */
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { connect as connectTcp, isIP, isIPv6, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { IcePlace } from "./ice-url.ts";
import { HEADER_BYTES } from "./stun.ts";
import { socketError, TurnError } from "./turn-error.ts";

export interface Transport {
  /** Whether what is sent may be lost and has to be sent again. */
  readonly lossy: boolean;
  /** The server's address that is used. */
  readonly remote: string;
  send(message: Uint8Array): void;
  close(): void;
}

export interface TransportEvents {
  onMessage(message: Buffer): void;
  /** Nothing comes or goes any more. */
  onBroken(error: TurnError): void;
}

export interface TransportOptions extends TransportEvents {
  /** Whether a certificate must be one that browsers take; without it any will do. */
  verify: boolean;
  /** Gives up the attempt to connect. */
  signal: AbortSignal;
}

/** Rejects with a `TurnError`. */
export function openTransport(place: IcePlace, options: TransportOptions): Promise<Transport> {
  switch (place.transport) {
    case "udp":
      return overUdp(place, options);
    case "dtls":
      throw new TurnError("failed", "TLS over UDP cannot be tried from here");
    default:
      return overStream(place, options);
  }
}

async function overUdp({ host, port }: IcePlace, options: TransportOptions): Promise<Transport> {
  const addresses = isIP(host)
    ? [host]
    : (await lookup(host, { all: true }).catch(raise)).map((each) => each.address);
  let last: TurnError | undefined;
  // A name may also have an address of a kind that this machine has no way to.
  for (const address of addresses) {
    try {
      return await connectUdp(address, port, options);
    } catch (error) {
      last = error as TurnError;
    }
  }
  throw last ?? new TurnError("unknown_host");
}

async function connectUdp(address: string, port: number, events: TransportEvents): Promise<Transport> {
  const socket: UdpSocket = createSocket(isIPv6(address) ? "udp6" : "udp4");
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    // Not by a callback: that would be called on failure, too, and take the error's place.
    socket.once("connect", resolve);
    // Connected, so that the kernel tells when nothing listens there, and lets nobody else in.
    socket.connect(port, address);
  }).catch((error: Error) => {
    socket.close();
    return raise(error);
  });
  socket.removeAllListeners("error");
  let open = true;
  const broken = (error: Error | null): void => {
    if (error && open) events.onBroken(socketError(error));
  };
  socket.on("message", (message) => events.onMessage(message));
  socket.on("error", broken);
  return {
    lossy: true,
    remote: address,
    send: (message) => {
      if (open) socket.send(message, broken);
    },
    close() {
      if (open) socket.close();
      open = false;
    },
  };
}

async function overStream(place: IcePlace, options: TransportOptions): Promise<Transport> {
  const { host, port, transport } = place;
  const { signal, verify, onMessage, onBroken } = options;
  const tls = transport === "tls";
  const socket: Socket = tls
    ? connectTls({ host, port, rejectUnauthorized: verify, ...(isIP(host) ? {} : { servername: host }) })
    : connectTcp({ host, port, noDelay: true });
  const abort = (): void => void socket.destroy();
  signal.addEventListener("abort", abort, { once: true });
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.once("close", () => reject(new TurnError(signal.aborted ? "no_answer" : "closed")));
    socket.once(tls ? "secureConnect" : "connect", resolve);
  })
    .catch((error: Error) => {
      socket.on("error", ignore).destroy();
      return raise(error);
    })
    .finally(() => signal.removeEventListener("abort", abort));

  let open = true;
  const broken = (error: TurnError): void => {
    if (!open) return;
    open = false;
    socket.destroy();
    onBroken(error);
  };
  const take = messagesOf(onMessage);
  socket.removeAllListeners("error").removeAllListeners("close");
  socket.on("error", (error) => broken(socketError(error)));
  socket.on("close", () => broken(new TurnError("closed")));
  socket.on("data", (chunk: Buffer) => {
    if (open && !take(chunk)) broken(new TurnError("not_turn"));
  });
  return {
    lossy: false,
    remote: socket.remoteAddress ?? host,
    send: (message) => void (open && socket.write(message)),
    close() {
      open = false;
      socket.destroy();
    },
  };
}

/**
 * Cuts a stream into messages, which say themselves how long they are (64 KiB at most). The returned function takes the
 * next piece, and answers false once something comes that is none.
 */
function messagesOf(onMessage: (message: Buffer) => void): (chunk: Buffer) => boolean {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= 4) {
      // Channels, the other thing that TURN has, begin with 01; we open none.
      if (rest[0]! > 0x3f) return false;
      const length = HEADER_BYTES + rest.readUInt16BE(2);
      if (rest.length < length) return true;
      onMessage(rest.subarray(0, length));
      rest = rest.subarray(length);
    }
    return true;
  };
}

function ignore(): void {}

const raise = (error: Error): never => {
  throw error instanceof TurnError ? error : socketError(error);
};
