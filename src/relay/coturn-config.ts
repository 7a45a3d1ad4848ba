/** coturn's configuration file, from what was decided. */
import { isIPv4 } from "node:net";
import type { RelayAddresses } from "./addresses.ts";
import { LOOPBACK, NOBODY, PRIVATE, type Range, TEST } from "../address-ranges.ts";

export interface RelayLimits {
  /** Allocations of one session at a time, and of all. */
  readonly session_allocations: number;
  readonly max_allocations: number;
  /** Bytes a second of one allocation, each way. */
  readonly bandwidth: number;
  /** Bytes a second that are promised to all allocations together; 0 for any number. */
  readonly total_bandwidth: number;
  /** How long an allocation lives without being refreshed, in ms. */
  readonly allocation_lifetime: number;
  readonly min_port: number;
  readonly max_port: number;
}

export interface CoturnSettings {
  readonly addresses: RelayAddresses;
  readonly port: number;
  /** Where, on loopback, connections come with the PROXY protocol. */
  readonly proxyPort: number;
  readonly limits: RelayLimits;
  /** Letters and digits only. */
  readonly secret: string;
  readonly pidFile: string;
}

/** Part of every answer; clients hash it into their key. */
export const REALM = "chatrandom";

/** How long somebody may be connected without an allocation, in s. */
const UNDECIDED_S = 15;

export function coturnConfig({
  addresses,
  port,
  proxyPort,
  limits,
  secret,
  pidFile,
}: CoturnSettings): string {
  const { listen, relay, nat, offered, reach, allowPrivate } = addresses;
  const onlyHere = reach === "this machine";
  const denied: Range[] = [
    ...NOBODY,
    ...LOOPBACK,
    ...(allowPrivate || onlyHere ? [] : [...PRIVATE, ...TEST]),
  ];
  const lines = [
    ...listen.map((address) => `listening-ip=${address}`),
    `listening-port=${port}`,
    `tcp-proxy-port=${proxyPort}`,
    ...relay.map((address) => `relay-ip=${address}`),
    // Browsers ask for no family and are given IPv4. Not every machine has it, or has a public address of it.
    ...(offered.some((address) => isIPv4(address)) ? [] : ["allocation-default-address-family=ipv6"]),
    ...(nat ? [`external-ip=${nat.outside}/${nat.inside}`] : []),
    `min-port=${limits.min_port}`,
    `max-port=${limits.max_port}`,
    `realm=${REALM}`,
    "use-auth-secret",
    `static-auth-secret=${secret}`,
    "stale-nonce=600",
    `user-quota=${limits.session_allocations}`,
    `total-quota=${limits.max_allocations}`,
    `max-bps=${limits.bandwidth}`,
    ...(limits.total_bandwidth > 0 ? [`bps-capacity=${limits.total_bandwidth}`] : []),
    `max-allocate-lifetime=${Math.ceil(limits.allocation_lifetime / 1000)}`,
    `max-allocate-timeout=${UNDECIDED_S}`,
    // Two visitors who both have a relayed address meet at our own; coturn.patch leaves no other port of it open.
    ...relay.map((address) => `allowed-peer-ip=${address}`),
    ...denied.map(([from, to]) => `denied-peer-ip=${from}${from === to ? "" : `-${to}`}`),
    // Where it relays at loopback: else its own address would be denied before it can be allowed.
    ...(onlyHere ? ["allow-loopback-peers"] : []),
    "no-multicast-peers",
    // TLS is ended by the shared port. A relay over TCP would reach services and not browsers.
    "no-tls",
    "no-dtls",
    "no-tcp-relay",
    "no-cli",
    "fingerprint",
    "no-software-attribute",
    // What makes answers longer than questions, for a spoofed address to be flooded with.
    "no-rfc5780",
    "no-stun-backward-compatibility",
    "response-origin-only-with-rfc5780",
    "log-file=stdout",
    "simple-log",
    `pidfile=${pidFile}`,
  ];
  return `${lines.join("\n")}\n`;
}
