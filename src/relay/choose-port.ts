/** The port that the relay listens on, tried before coturn is started. */
import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { createServer } from "node:net";
import { Failure } from "../failure.ts";

const ATTEMPTS = 20;
/**
 * Below the ports that the system gives to whoever asks for any: one of those may be somebody's connection by the time
 * that coturn listens.
 */
const FIRST_PORT = 10_000;
const LAST_PORT = 32_767;

/** By which flag the address was chosen that the relay listens on. */
export type HostOption = "--host" | "--turn-host";

export const notOurs = (host: string, option: HostOption, cause: unknown): Failure =>
  new Failure(`${host} is no address of this machine. Choose another with ${option}.`, 1, { cause });

/**
 * A port that is free for UDP and TCP on every address: `wanted`, or any where that is 0.
 * @throws Failure, one line for the operator. coturn itself would go on without it.
 */
export async function choosePort(
  addresses: readonly string[],
  wanted: number,
  hostOption: HostOption,
): Promise<number> {
  for (let attempt = 1; ; attempt += 1) {
    const port = wanted === 0 ? randomInt(FIRST_PORT, LAST_PORT + 1) : wanted;
    try {
      for (const address of addresses) {
        await bindTcp(address, port);
        await bindUdp(address, port);
      }
      return port;
    } catch (error) {
      if (wanted === 0 && attempt < ATTEMPTS) continue;
      throw explained(error as Unbound, port, hostOption, error);
    }
  }
}

/** Where the system does not let somebody listen, and why. */
export interface Unbound {
  readonly code?: string;
  readonly address?: string;
  readonly message?: string;
}

/** The port was free for us, but coturn does not get it. */
export function relayCannotBind(
  unbound: Unbound,
  port: number,
  hostOption: HostOption,
  cause: unknown,
): Failure {
  if (unbound.code !== "EACCES") return explained(unbound, port, hostOption, cause);
  return new Failure(
    `Port ${port} needs rights that the relay does not have: those of chatrandom's file (setcap) are not handed on to ` +
      "other programs. Choose one above 1023 with --turn-port.",
    1,
    { cause },
  );
}

function explained(
  { code, address, message }: Unbound,
  port: number,
  hostOption: HostOption,
  cause: unknown,
): Failure {
  switch (code) {
    case "EADDRINUSE":
      return new Failure(
        `Port ${port} for the relay is in use already. Stop what uses it, choose another with --turn-port, or do ` +
          "without the relay: --turn-enabled false.",
        1,
        { cause },
      );
    case "EACCES":
      return new Failure(
        `Port ${port} for the relay needs rights that this user does not have. Choose one above 1023 with --turn-port.`,
        1,
        { cause },
      );
    case "EADDRNOTAVAIL":
      return notOurs(address ?? "what the relay listens on", hostOption, cause);
    default:
      return new Failure(`The relay cannot listen on port ${port}: ${message ?? code}`, 1, { cause });
  }
}

function bindTcp(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen({ host, port, ipv6Only: true }, () => server.close(() => resolve()));
  });
}

function bindUdp(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createSocket({ type: host.includes(":") ? "udp6" : "udp4", ipv6Only: host.includes(":") });
    socket.once("error", reject);
    socket.bind(port, host, () => socket.close(() => resolve()));
  });
}
