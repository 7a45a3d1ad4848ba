/**
 * How often one client address may connect, open a session and search (T7). Addresses themselves are not kept, only a
 * keyed hash that means nothing outside this process; IPv6 counts by /64, and loopback does not count at all, since a
 * proxy that is not trusted yet would make everybody one address.
 */
import { createHmac } from "node:crypto";
import { SocketAddress, isIPv4, isIPv6 } from "node:net";
import { isLoopback } from "../loopback.ts";
import { TokenBucket } from "../session/rate-limit.ts";
import type { Rate } from "../session/rate-limit.ts";

export interface AddressRates {
  connections: Rate;
  sessions: Rate;
  finds: Rate;
}

/** How many are remembered, about 20 MB; then the oldest gives way. Who has a whole /32 could bring any number. */
const MOST_ADDRESSES = 50_000;

export class Addresses {
  readonly #rates: AddressRates;
  readonly #secret: Uint8Array;
  readonly #buckets = new Map<string, Record<keyof AddressRates, TokenBucket>>();

  /** `secret` keys the hash; random for each process. */
  constructor(rates: AddressRates, secret: Uint8Array) {
    this.#rates = rates;
    this.#secret = secret;
  }

  /** A key for `ip`, or undefined where addresses do not count. */
  keyOf(ip: string): string | undefined {
    const plain = plainly(ip);
    if (isLoopback(plain)) return undefined;
    const isV6 = isIPv6(plain);
    const network = isV6 ? networkOf(plain) : plain;
    return createHmac("sha256", this.#secret).update(network).digest("base64url").slice(0, 22);
  }

  /** Counts one more: 0 when it is allowed, else the seconds until it is. */
  take(key: string | undefined, what: keyof AddressRates, now: number): number {
    if (key === undefined) return 0;
    let buckets = this.#buckets.get(key);
    if (!buckets) {
      buckets = {
        connections: new TokenBucket(this.#rates.connections, now),
        sessions: new TokenBucket(this.#rates.sessions, now),
        finds: new TokenBucket(this.#rates.finds, now),
      };
      if (this.#buckets.size >= MOST_ADDRESSES) this.#buckets.delete(this.#buckets.keys().next().value!);
      this.#buckets.set(key, buckets);
    }
    return buckets[what].take(now);
  }

  /** How many addresses are remembered. */
  get size(): number {
    return this.#buckets.size;
  }

  /** Forgets addresses whose buckets have filled up again, which a new one would be too. To be called now and then. */
  sweep(now: number): void {
    for (const [key, buckets] of this.#buckets) {
      if (Object.values(buckets).every((bucket) => bucket.isFull(now))) this.#buckets.delete(key);
    }
  }
}

/** An address in its one way to be written: IPv4 also where it came as IPv6, no zone. What is none stays as it is. */
function plainly(ip: string): string {
  if (!isIPv6(ip)) return ip;
  const { address } = new SocketAddress({ address: ip, family: "ipv6" });
  return address.startsWith("::ffff:") && isIPv4(address.slice(7)) ? address.slice(7) : address;
}

/** The /64 of an IPv6 address, as text. */
function networkOf(ip: string): string {
  const [head = "", tail] = ip.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  return [...left, ...Array<string>(zeros).fill("0"), ...right].slice(0, 4).join(":");
}
