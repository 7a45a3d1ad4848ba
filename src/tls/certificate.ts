/** A certificate that the server can use, and what there is to know about it. */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { isIP, isIPv6 } from "node:net";
import { createSecureContext, type SecureContext } from "node:tls";
import { Failure } from "../failure.ts";

/** Its parts were checked: they can be read, the key fits, and OpenSSL takes them. */
export interface Certificate {
  /** The server's own certificate and those that lead to the authority, PEM. */
  readonly chain: string;
  /** PEM. A secret. */
  readonly key: string;
  /** For TLS sockets. */
  readonly context: SecureContext;
  /** SHA-256 as browsers show it: `AB:CD:…` */
  readonly fingerprint: string;
  /** The names and addresses that it is for. */
  readonly names: readonly string[];
  /** From when until when it is valid, in ms since the Unix epoch. */
  readonly from: number;
  readonly until: number;
  /** No authority stands behind it, so browsers warn of it. */
  readonly selfSigned: boolean;
}

/** What of a certificate is shown to the operator. It can be sent to another process. */
export type Shown = Pick<Certificate, "fingerprint" | "names" | "until" | "selfSigned">;

export const shown = ({ fingerprint, names, until, selfSigned }: Certificate): Shown => ({
  fingerprint,
  names,
  until,
  selfSigned,
});

/** Where a certificate comes from and how it changes. */
export interface CertificateSource {
  /** The one in use. It may be another each time it is read. */
  readonly current: Certificate;
  stop(): void | Promise<void>;
}

/** TLS 1.2 with forward secrecy and authenticated encryption only, and TLS 1.3. */
const CIPHERS = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");

/** What messages call the parts, such as the names of their files. */
export interface PartNames {
  chain: string;
  key: string;
}

/** A text may hold both, and more; each part is taken out of it, so that the chain never carries the key along. */
const CERTIFICATES = /-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g;
const KEY = /-----BEGIN ([A-Z ]*PRIVATE KEY)-----[^]*?-----END \1-----/;

/** Throws a `Failure`, one line, when the texts hold no certificate with its key. */
export function certificateOf(
  certificateText: string,
  keyText: string,
  named: PartNames = { chain: "the certificate", key: "the key" },
): Certificate {
  const chain = (certificateText.match(CERTIFICATES) ?? []).map((block) => `${block}\n`).join("");
  const key = `${KEY.exec(keyText)?.[0] ?? ""}\n`;
  const own = readCertificate(chain, named.chain);
  if (!own.checkPrivateKey(readKey(key, named.key))) {
    throw new Failure(`${named.key} does not fit ${named.chain}: they are not of one pair`);
  }
  return {
    chain,
    key,
    context: contextOf(chain, key, named),
    fingerprint: own.fingerprint256,
    names: namesOf(own),
    from: own.validFromDate.getTime(),
    until: own.validToDate.getTime(),
    // Not checkIssued: it says no where the certificate may not sign others, and a server's should not.
    selfSigned: own.issuer === own.subject && own.verify(own.publicKey),
  };
}

const DAY_MS = 86_400_000;

/** Whether its renewal should be there by now: in its last week, or the last quarter of a shorter life. */
export const runsOutSoon = ({ from, until }: Pick<Certificate, "from" | "until">, now: number): boolean =>
  until - now < Math.min(7 * DAY_MS, (until - from) / 4);

function readCertificate(chain: string, name: string): X509Certificate {
  try {
    return new X509Certificate(chain);
  } catch (cause) {
    throw new Failure(`${name} is no certificate in PEM`, 1, { cause });
  }
}

function readKey(key: string, name: string): KeyObject {
  try {
    return createPrivateKey(key);
  } catch (cause) {
    const locked = key.includes("ENCRYPTED");
    throw new Failure(`${name} is ${locked ? "protected by a password" : "no private key in PEM"}`, 1, {
      cause,
    });
  }
}

function contextOf(chain: string, key: string, { chain: name }: PartNames): SecureContext {
  try {
    return createSecureContext({ cert: chain, key, minVersion: "TLSv1.2", ciphers: CIPHERS });
  } catch (cause) {
    throw new Failure(`${name} cannot be used: ${(cause as Error).message}`, 1, { cause });
  }
}

const namesOf = ({ subjectAltName = "" }: X509Certificate): string[] =>
  [...subjectAltName.matchAll(/(?:DNS|IP Address):([^\s,]+)/g)].map(([, name]) => shortest(name!));

/** OpenSSL writes every zero of an IPv6 address. */
const shortest = (name: string): string =>
  isIPv6(name) ? new URL(`http://[${name}]`).hostname.slice(1, -1) : name;

/** Whether a certificate is for `name`, a name of the DNS or an address. */
export const isFor = ({ chain }: Certificate, name: string): boolean => {
  const own = new X509Certificate(chain);
  return (isIP(name) ? own.checkIP(name) : own.checkHost(name)) !== undefined;
};
