/**
 * How often one address may bring a connection of the shared port to the relay. Browsers bring one or two for every call
 * that they only begin, also where it goes another way then, and many share the address of a company or a carrier: so this
 * is as generous as the relay's own port (scripts/native/coturn.patch), and counts apart from WebSockets.
 */
import { type Rate, TokenBucket } from "../session/rate-limit.ts";

export const STREAMS: Rate = { burst: 512, perSecond: 64 };
/** How many addresses are remembered; then the oldest gives way. */
const MOST = 10_000;

/** Counts one more of the address that `key` stands for, and says whether it is let in. Without a key it always is. */
export function streamRate(): (key: string | undefined, now: number) => boolean {
  const buckets = new Map<string, TokenBucket>();
  return (key, now) => {
    if (key === undefined) return true;
    let bucket = buckets.get(key);
    if (!bucket) {
      if (buckets.size >= MOST) buckets.delete(buckets.keys().next().value!);
      buckets.set(key, (bucket = new TokenBucket(STREAMS, now)));
    }
    return bucket.take(now) === 0;
  };
}
