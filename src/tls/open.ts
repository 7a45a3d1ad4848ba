/** Chooses where the certificate comes from, as the options say, and starts what keeps it. */
import { networkInterfaces, hostname } from "node:os";
import { isIP } from "node:net";
import { join } from "node:path";
import type { Clock } from "../clock.ts";
import type { Config } from "../config/options.ts";
import { Failure } from "../failure.ts";
import { isLoopbackHost } from "../loopback.ts";
import { acmeChecks } from "./acme-checks.ts";
import { type CheckType, obtain } from "./acme.ts";
import { certificateFiles } from "./certificate-files.ts";
import type { Certificate, CertificateSource } from "./certificate.ts";
import { isFor, runsOutSoon } from "./certificate.ts";
import type { CertificateStore } from "./certificate-store.ts";
import type { DomainChecks } from "./domain-checks.ts";
import { localNames } from "./local-names.ts";
import { renewed } from "./renewal.ts";
import { selfSigned } from "./self-signed.ts";

export type HttpsOptions = Pick<Config, "tls" | "https" | "acme" | "domain" | "host" | "port" | "data_dir">;

export interface HttpsParts {
  /** Where account and certificates are kept; `directory` is the place for it in the data directory. */
  store(directory: string): CertificateStore;
  /** Answers checks on the port for HTTP-01. Throws a `Failure` when that port cannot be had. */
  listenForChecks(checks: DomainChecks): Promise<void>;
  readonly clock: Clock;
  /** Milliseconds since the Unix epoch. */
  wallClock(): number;
  /** From 0 up to 1. */
  random(): number;
  readonly log: Log;
}

interface Log {
  info(what: object, message: string): void;
  warn(what: object, message: string): void;
  error(what: object, message: string): void;
}

export interface Https {
  readonly certificates: CertificateSource;
  /** The checks of an authority, where one is asked for certificates. */
  readonly checks?: DomainChecks;
}

/** What `tls = "auto"` means here. */
export function kindOf({ tls, https, host }: HttpsOptions): Exclude<Config["tls"], "auto"> {
  if (tls !== "auto") return tls;
  if (https.certificate !== "") return "files";
  return isLoopbackHost(host) ? "off" : "self-signed";
}

/** Undefined where HTTPS is off. Throws a `Failure`, one line, when there can be no certificate. */
export async function openHttps(options: HttpsOptions, parts: HttpsParts): Promise<Https | undefined> {
  const kind = kindOf(options);
  if (kind === "off") return undefined;
  if (kind === "files") return { certificates: await filesFor(options, parts) };
  const own = await ownFor(options, parts);
  if (kind === "self-signed") return { certificates: own };
  try {
    return await acmeFor(options, parts, own);
  } catch (error) {
    await own.stop();
    throw error;
  }
}

const folderOf = ({ data_dir }: HttpsOptions): string => join(data_dir, "tls");

function ownFor(options: HttpsOptions, { clock, wallClock, log }: HttpsParts): Promise<CertificateSource> {
  const { domain, host } = options;
  const chosen = [domain, isIP(host) || host === "" ? "" : host].filter((name) => name !== "");
  return selfSigned({
    directory: folderOf(options),
    names: () => localNames(hostname(), networkInterfaces(), chosen),
    required: domain === "" ? [] : [domain],
    clock,
    wallClock,
    log,
  });
}

const DAY_MS = 86_400_000;

async function filesFor({ https, domain }: HttpsOptions, parts: HttpsParts): Promise<CertificateSource> {
  const { clock, wallClock, log } = parts;
  const judge = (certificate: Certificate): void => {
    const now = wallClock();
    const [from, until] = [new Date(certificate.from), new Date(certificate.until)];
    if (now >= certificate.until) log.warn({ until }, "the certificate ran out");
    else if (now < certificate.from) log.warn({ from }, "the certificate is not valid yet");
    else if (runsOutSoon(certificate, now)) log.warn({ until }, "the certificate runs out soon");
    if (domain !== "" && !isFor(certificate, domain)) {
      log.warn({ domain, names: certificate.names }, "the certificate is not for the domain");
    }
  };
  const source = await certificateFiles({ ...https, clock, log, taken: judge });
  judge(source.current);
  // What renews the files may have stopped long after the start.
  const stopJudging = clock.every(DAY_MS, () => judge(source.current));
  return {
    get current() {
      return source.current;
    },
    stop() {
      stopJudging();
      return source.stop();
    },
  };
}

async function acmeFor(
  options: HttpsOptions,
  parts: HttpsParts,
  meanwhile: CertificateSource,
): Promise<Https> {
  const { domain, acme } = options;
  const { clock, wallClock, random, log } = parts;
  const store = parts.store(join(folderOf(options), "acme"));
  const checks = acmeChecks(domain, store);
  const types = await checkTypes(options, () => parts.listenForChecks(checks), log);
  log.info({ domain, authority: new URL(acme.directory).host, check: types[0] }, "certificates come by ACME");
  const certificates = await renewed({
    store,
    obtain: (attempt) =>
      obtain({
        domain,
        directory: acme.directory,
        email: acme.email,
        ...(acme.eab_key_id !== "" && { binding: { keyId: acme.eab_key_id, key: acme.eab_key } }),
        check: types[attempt % types.length]!,
        store,
      }),
    meanwhile,
    clock,
    wallClock,
    random,
    log,
  });
  return { certificates, checks };
}

/** How the domain may be checked, the likeliest first. */
async function checkTypes(
  { port, acme }: HttpsOptions,
  listenForChecks: () => Promise<void>,
  log: Log,
): Promise<CheckType[]> {
  if (acme.challenge === "tls-alpn-01") return ["tls-alpn-01"];
  if (acme.http_port !== port || port === 0) {
    try {
      await listenForChecks();
    } catch (error) {
      if (acme.challenge === "http-01" || !(error instanceof Failure)) throw error;
      log.warn(
        { reason: error.message },
        "without http-01: only what comes to port 443 of the domain can be checked",
      );
      return ["tls-alpn-01"];
    }
  }
  if (acme.challenge === "http-01") return ["http-01"];
  return port === 443 ? ["tls-alpn-01", "http-01"] : ["http-01", "tls-alpn-01"];
}
