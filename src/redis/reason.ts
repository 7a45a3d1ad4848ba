/** Why Redis cannot be used, in words for the operator: what the library and OpenSSL say seldom tells what to change. */
import type { RedisAddress } from "./address.ts";

export interface Reason {
  /** Holds no secret. */
  text: string;
  /** Trying again will not help; somebody has to change something. */
  final: boolean;
}

const UNTRUSTED = [
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
];

/**
 * @param error what broke the connection; undefined when it was closed without a word
 * @param wasUp whether it could be asked before: then it is a Redis, and TLS is as it wants it
 */
export function reasonOf(error: Error | undefined, address: RedisAddress, wasUp = false): Reason {
  const message = error?.message ?? "";
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? "";
  const tls = address.kind !== "socket" && address.tls;
  const final = (text: string): Reason => ({ text, final: true });

  if (/WRONGPASS|NOAUTH|NOPERM|invalid password|invalid username/i.test(message)) {
    if (!message.includes("sentinel ")) return final("it refuses user or password");
    return final("its Sentinels refuse user or password; theirs may be given by ?sentinel_password=");
  }
  if (address.kind === "sentinel" && /invalid reply: null|No such master/i.test(message))
    return final(`its Sentinels know no master named ${JSON.stringify(address.name)}`);
  if (message.includes("READONLY")) return { text: "it is a replica now and takes no writes", final: false };
  if (address.kind === "sentinel" && /unknown command '?sentinel/i.test(message))
    return final("it is no Sentinel: write redis:// instead of redis+sentinel://, or name its Sentinels");
  if (/cluster support disabled/i.test(message))
    return final("it is no Cluster: write redis:// instead of redis+cluster://");
  if (/Unknown RESP type/.test(message)) return final("what answers there is no Redis");
  if (/DB index is out of range/i.test(message)) return final("it has no database of that number");
  if (/wrong version number|packet length too long/i.test(message))
    return final("it does not speak TLS there: write redis instead of rediss");
  if (
    UNTRUSTED.includes(code) ||
    UNTRUSTED.some((name) => message.includes(name)) ||
    /self.signed/i.test(message)
  )
    return final(
      "its certificate is not trusted: name the file with that of its authority in NODE_EXTRA_CA_CERTS",
    );
  if (/altnames/i.test(message)) return final("its certificate is for another name than that of the address");
  if (tls && code === "ETIMEDOUT")
    return {
      text: "it does not answer, as one does that speaks no TLS: try redis instead of rediss",
      final: false,
    };
  const closed = message === "" || message === "Connection is closed." || /ECONNRESET|EPIPE/.test(message);
  if (closed && !wasUp && !tls && address.kind !== "socket")
    return {
      text: "it closes the connection, as one does that wants TLS (try rediss) or is no Redis",
      final: false,
    };
  return { text: message || "it closes the connection", final: false };
}
