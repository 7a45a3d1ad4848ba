/**
 * The CURVE keys of the links, all derived from the cluster's link secret, so that nodes need to share nothing else.
 *
 * - Every node's publisher has a key pair of its own, derived from the secret and the node's id. Whoever subscribes
 *   works out the public key from the id: only a holder of the secret can answer as that node, whatever the registry
 *   says. The public key in the registry tells nodes with different secrets apart before they even connect.
 * - All subscribers share one key pair. A publisher lets nobody else in (`gate.ts`), for a public key is no secret.
 *
 * Neither is the secret of a conversation: CURVE makes a fresh key for each connection.
 *
 * Hazard: somebody who records a handshake can try guesses of the secret against it at leisure. So it has to be a
 * random one, and a short one is refused.
 */
import { createPrivateKey, createPublicKey, hkdfSync } from "node:crypto";
import { Failure } from "../failure.ts";
import { z85 } from "./z85.ts";

export interface KeyPair {
  /** Z85, 40 characters. */
  publicKey: string;
  secretKey: string;
}

export interface LinkKeys {
  /** The keys of that node's publisher. */
  publisher(node: string): KeyPair;
  readonly subscriber: KeyPair;
}

export const MIN_SECRET_CHARACTERS = 32;

/** Goes into every key: nodes that speak another version of the links' format do not understand each other at all. */
const FORMAT = "chatrandom link 2";
const PKCS8_X25519 = Buffer.from("302e020100300506032b656e04220420", "hex");

/** @throws Failure when the secret is too short to be a random one. */
export function linkKeys(secret: string): LinkKeys {
  if (secret.length < MIN_SECRET_CHARACTERS) {
    throw new Failure(
      `the link secret must have at least ${MIN_SECRET_CHARACTERS} characters, the same on every node; ` +
        "make one with: openssl rand -hex 32",
      2,
    );
  }
  const derive = (purpose: string): KeyPair => {
    const seed = Buffer.from(hkdfSync("sha256", secret, "", `${FORMAT} ${purpose}`, 32));
    const key = createPrivateKey({ key: Buffer.concat([PKCS8_X25519, seed]), format: "der", type: "pkcs8" });
    const spki = createPublicKey(key).export({ format: "der", type: "spki" });
    return { publicKey: z85(spki.subarray(-32)), secretKey: z85(seed) };
  };
  return { publisher: (node) => derive(`publisher ${node}`), subscriber: derive("subscriber") };
}
