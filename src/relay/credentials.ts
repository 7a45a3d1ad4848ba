/**
 * Credentials for TURN as coturn takes them ("REST API for access to TURN services"): the username says until when it is
 * good and whose it is, the password proves that we said so. Nothing is kept.
 */
import { createHmac, hkdfSync } from "node:crypto";

export interface Credentials {
  readonly username: string;
  readonly credential: string;
}

/** Quotas count by it. The session's own id never leaves the server (S1), and this does not lead back to it. */
export const relayUserOf = (secret: string, session: string): string =>
  createHmac("sha256", secret).update(`relay user ${session}`).digest("base64url").slice(0, 16);

/** `until` is in ms since the Unix epoch. */
export function credentialsFor(secret: string, user: string, until: number): Credentials {
  const username = `${Math.floor(until / 1000)}:${user}`;
  return { username, credential: createHmac("sha1", secret).update(username).digest("base64") };
}

/** The secret of the embedded relays: that of all nodes of a cluster is the same, so credentials are good at each. */
export const relaySecretOf = (linkSecret: string): string =>
  Buffer.from(hkdfSync("sha256", linkSecret, "", "chatrandom relay", 32)).toString("hex");
