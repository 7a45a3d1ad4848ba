/** Shares account, certificate and answers between the nodes of a cluster. */
import { randomBytes } from "node:crypto";
import { acmeKeys } from "../redis/keys.ts";
import { type RedisClient, script } from "../redis/scripts.ts";
import { certificateOf } from "./certificate.ts";
import type { Account, CertificateStore, CheckAnswer } from "./certificate-store.ts";
import { sealWith } from "./sealed.ts";

export interface RedisStoreParts {
  /** The client of the moment is asked for at each use. */
  readonly redis: { readonly client: RedisClient };
  /** Before every key. */
  readonly prefix: string;
  readonly domain: string;
  /** The address of the authority's ACME directory: what one gave is nothing to another. */
  readonly authority: string;
  /** What the nodes of the cluster know and Redis does not. */
  readonly secret: string;
  readonly log: { warn(what: object, message: string): void };
}

/**
 * Gives the lease back, unless it ran out and another has it.
 * KEYS: lease, count of failures. ARGV: our token. Returns nothing.
 */
const DONE = script(
  "acme-done",
  `if redis.call("GET", KEYS[1]) == ARGV[1] then redis.call("DEL", KEYS[1], KEYS[2]) end`,
);

/**
 * Counts a failure and leaves the lease to nobody, so that nobody tries for a while.
 * KEYS: lease, count of failures. ARGV: our token, how long in ms, how long to remember failures in ms. Returns nothing.
 */
const FAILED = script(
  "acme-failed",
  `if redis.call("GET", KEYS[1]) == ARGV[1] then
     redis.call("SET", KEYS[1], "nobody", "PX", ARGV[2])
     redis.call("INCR", KEYS[2])
     redis.call("PEXPIRE", KEYS[2], ARGV[3])
   end`,
);

/**
 * Forgets failures, unless somebody is at it.
 * KEYS: lease, count of failures. ARGV: how long it may be yet until the next attempt, in ms. Returns nothing.
 */
const FORGIVE = script(
  "acme-forgive",
  `if redis.call("GET", KEYS[1]) == "nobody" then
     redis.call("DEL", KEYS[2])
     if redis.call("PTTL", KEYS[1]) > tonumber(ARGV[1]) then redis.call("PEXPIRE", KEYS[1], ARGV[1]) end
   end`,
);

/**
 * Takes an answer away, and the latest if it is that one.
 * KEYS: answer, latest answer. ARGV: the answer. Returns nothing.
 */
const DROP = script(
  "acme-drop",
  `redis.call("DEL", KEYS[1])
   if redis.call("GET", KEYS[2]) == ARGV[1] then redis.call("DEL", KEYS[2]) end`,
);

const REMEMBER_FAILURES_MS = 7 * 86_400_000;

const textOf = ({ token, keyAuthorization }: CheckAnswer): string =>
  JSON.stringify({ token, keyAuthorization });

export function redisStore(parts: RedisStoreParts): CertificateStore {
  const { redis, domain, authority, secret, log } = parts;
  const prefix = acmeKeys(parts.prefix, new URL(authority).host, domain);
  const [account, certificate, lease, failures, latest] = [
    "account",
    "certificate",
    "lease",
    "failures",
    "answer",
  ].map((name) => prefix + name) as [string, string, string, string, string];
  const keys = [lease, failures];
  const answerKey = (token: string) => `${prefix}answer:${token}`;
  const { seal, open } = sealWith(secret);

  const read = async (key: string): Promise<string | undefined> => {
    const sealed = await redis.client.get(key);
    if (sealed === null) return undefined;
    const text = open(sealed, key);
    if (text === undefined)
      log.warn({ key }, "cannot open what another node has sealed: is its link secret the same?");
    return text;
  };
  const write = async (key: string, text: string): Promise<void> => {
    await redis.client.set(key, seal(text, key));
  };

  return {
    account: async () => {
      const text = await read(account);
      return text === undefined ? undefined : (JSON.parse(text) as Account);
    },
    saveAccount: (made) => write(account, JSON.stringify(made)),
    async certificate() {
      const pem = await read(certificate);
      return pem === undefined ? undefined : certificateOf(pem, pem);
    },
    saveCertificate: ({ key, chain }) => write(certificate, key + chain),
    async putAnswer(answer, ms) {
      const text = textOf(answer);
      await redis.client.set(answerKey(answer.token), text, "PX", ms);
      await redis.client.set(latest, text, "PX", ms);
    },
    async dropAnswer(answer) {
      await DROP(redis.client, [answerKey(answer.token), latest], [textOf(answer)]);
    },
    async answer(token) {
      const text = await redis.client.get(token === undefined ? latest : answerKey(token));
      return text === null ? undefined : (JSON.parse(text) as CheckAnswer);
    },
    async forgive(ms) {
      await FORGIVE(redis.client, keys, [Math.ceil(ms)]);
    },
    async lease(ms) {
      const ours = randomBytes(16).toString("hex");
      if ((await redis.client.set(lease, ours, "PX", Math.ceil(ms), "NX")) === null) return undefined;
      return {
        failures: Number(await redis.client.get(failures)),
        async done() {
          await DONE(redis.client, keys, [ours]);
        },
        async failed(wait) {
          await FAILED(redis.client, keys, [ours, Math.ceil(wait), REMEMBER_FAILURES_MS]);
        },
      };
    },
  };
}
