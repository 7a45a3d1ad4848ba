/** A certificate that this server signs itself: kept in the data directory, made anew before it runs out. */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import type { Clock } from "../clock.ts";
import { makeDirectory } from "../embedded/extract.ts";
import { Failure } from "../failure.ts";
import { type Certificate, certificateOf, type CertificateSource, isFor } from "./certificate.ts";
import { keepFirst, keepPrivately } from "./keep.ts";

const DAY_MS = 86_400_000;
/** The longest that Apple's systems accept is 825 days. A new one means a new warning, so it lasts. */
const VALID_MS = 730 * DAY_MS;
const RENEW_BEFORE_MS = 30 * DAY_MS;
const CHECK_MS = 3_600_000;

export interface SelfSignedParts {
  /** Where it is kept, as `self-signed.pem`. */
  readonly directory: string;
  /** What it is for; the first is the one that its owner configured, if any. */
  readonly names: () => readonly string[];
  /** It must be for these: one that is not is made anew. Other names may change without that. */
  readonly required: readonly string[];
  readonly clock: Clock;
  /** Milliseconds since the Unix epoch. */
  readonly wallClock: () => number;
  readonly log: { info(what: object, message: string): void; warn(what: object, message: string): void };
}

/** Finds the certificate or makes it. Throws a `Failure` when it cannot be kept. */
export async function selfSigned(parts: SelfSignedParts): Promise<CertificateSource> {
  const { directory, names, required, clock, wallClock, log } = parts;
  const file = join(directory, "self-signed.pem");

  const found = (): Certificate | undefined => {
    try {
      const pem = readFileSync(file, "utf8");
      return certificateOf(pem, pem);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT")
        log.warn({ err: error, file }, "making a new certificate");
      return undefined;
    }
  };
  const fits = (certificate: Certificate): boolean =>
    wallClock() >= certificate.from &&
    wallClock() < certificate.until - RENEW_BEFORE_MS &&
    required.every((name) => isFor(certificate, name));
  const make = async (): Promise<Certificate> => {
    const before = textOf(file);
    const made = await createSelfSigned(names(), wallClock());
    const pem = made.key + made.chain;
    try {
      makeDirectory(directory);
      // Workers make one at the same time, and all have to show the same: the first one's.
      if (before === undefined ? !keepFirst(file, pem) : textOf(file) !== before) return found() ?? made;
      if (before !== undefined) keepPrivately(file, pem);
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      throw new Failure(`cannot keep a certificate in ${directory} (${code})`, 1, { cause });
    }
    log.info(
      { fingerprint: made.fingerprint, until: new Date(made.until) },
      "made a self-signed certificate",
    );
    return made;
  };

  const kept = found();
  let current = kept && fits(kept) ? kept : await make();
  let making = false;
  const stop = clock.every(CHECK_MS, () => {
    if (making) return;
    // Another worker may have renewed it.
    const there = found();
    if (there && fits(there)) current = there;
    if (fits(current)) return;
    making = true;
    make()
      .then((made) => void (current = made))
      .catch((error: unknown) => log.warn({ err: error }, "cannot renew the self-signed certificate"))
      .finally(() => void (making = false));
  });
  return {
    get current() {
      return current;
    },
    stop,
  };
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

/** Makes a certificate and its key. `now` is in ms since the Unix epoch. */
export async function createSelfSigned(
  names: readonly string[],
  now: number,
  validFor: number = VALID_MS,
): Promise<Certificate> {
  // Loaded here: it is needed once in two years.
  const x509 = await import("@peculiar/x509");
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    // A positive number of at most 20 bytes.
    serialNumber: `01${randomBytes(15).toString("hex")}`,
    // The organization tells its owner, who sees it in a list of certificates, where it comes from.
    name: [{ CN: [names[0] ?? "localhost"] }, { O: ["ChatRandom, self-signed"] }],
    // Clocks differ.
    notBefore: new Date(now - DAY_MS),
    notAfter: new Date(now + validFor),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        names.map((value) => ({ type: isIP(value) ? ("ip" as const) : ("dns" as const), value })),
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const key = Buffer.from(await crypto.subtle.exportKey("pkcs8", keys.privateKey));
  return certificateOf(`${certificate.toString("pem")}\n`, pem("PRIVATE KEY", key));
}

const pem = (label: string, der: Buffer): string =>
  `-----BEGIN ${label}-----\n${der.toString("base64").replaceAll(/.{64}(?=.)/g, "$&\n")}\n-----END ${label}-----\n`;
