/**
 * How often one client address may connect, open a session and search (T7). Addresses themselves are not kept, only a
 * keyed hash that means nothing outside this process; IPv6 counts by /64, and loopback does not count at all, since a
 * proxy that is not trusted yet would make everybody one address.
 */
import { createHmac } from "node:crypto";
import { BlockList, isIPv4 } from "node:net";
import { TokenBucket } from "../session/rate-limit.ts";
import type { Rate } from "../session/rate-limit.ts";

export interface AddressRates {
  connections: Rate;
  sessions: Rate;
  finds: Rate;
}

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

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
    const plain = ip.startsWith("::ffff:") && isIPv4(ip.slice(7)) ? ip.slice(7) : ip;
    if (isIPv4(plain) ? loopback.check(plain, "ipv4") : loopback.check(plain, "ipv6")) return undefined;
    const network = isIPv4(plain) ? plain : networkOf(plain);
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

/** The /64 of an IPv6 address, as text. */
function networkOf(ip: string): string {
  const [head = "", tail] = ip.split("%")[0]!.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  return [...left, ...Array<string>(zeros).fill("0"), ...right]
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":");
}
