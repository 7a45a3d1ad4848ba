/**
 * The resume token is the visitor's secret; the session's id is its hash. So the store, the links and the logs never
 * see a token, and a token that nobody was given leads to an id that nobody has (S5).
 */
import { createHash } from "node:crypto";

/** `random` gives that many random bytes. 256 bits as 43 characters of base64url. */
export function newResumeToken(random: (bytes: number) => Uint8Array): string {
  return Buffer.from(random(32)).toString("base64url");
}

/** 22 characters of base64url: 132 bits of the token's SHA-256. */
export function sessionIdOf(token: string): string {
  return createHash("sha256").update("session:").update(token).digest("base64url").slice(0, 22);
}

/** What recents, blocks and M3 go by. The page's device token itself is kept nowhere. */
export function deviceOf(deviceToken: string): string {
  return createHash("sha256").update("device:").update(deviceToken).digest("base64url").slice(0, 22);
}
