/** The certificate that this configuration serves with: for whom, until when, and whether browsers can follow its chain. */
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { realClock } from "../clock.ts";
import type { Config } from "../config/options.ts";
import { Failure } from "../failure.ts";
import { isLoopbackHost } from "../loopback.ts";
import { certificateFiles } from "../tls/certificate-files.ts";
import { type Certificate, certificateOf, isFor, runsOutSoon } from "../tls/certificate.ts";
import { kindOf } from "../tls/open.ts";
import { dueAt } from "../tls/renewal.ts";
import { type Finding, fine, skipped, spelled, warning, wrong } from "./finding.ts";

const CHECK = "certificate";
const DAY_MS = 86_400_000;
/** An authority may be away for a while: this long, or for that part of a shorter life. */
const LATE_MS = 2 * DAY_MS;
const LATE_PART = 1 / 12;

export interface CertificateParts {
  /** In ms since the Unix epoch. */
  readonly now: number;
  /** The authorities that this system knows, PEM. */
  readonly roots: readonly string[];
  /** Whether a ChatRandom runs here. */
  readonly running: boolean;
  /** What ACME has got; rejects when it cannot be looked up. */
  acme(): Promise<Certificate | undefined>;
}

export async function checkCertificate(config: Config, parts: CertificateParts): Promise<Finding[]> {
  const kind = kindOf(config);
  if (kind === "files") return checkFiles(config, parts);
  if (kind === "acme") return checkAcme(config, parts);
  return [kind === "off" ? judgeOff(config) : judgeSelfSigned(config, parts)];
}

function judgeOff({ host, domain }: Config): Finding {
  if (!isLoopbackHost(host) && domain === "")
    return warning(
      CHECK,
      "HTTPS is off: browsers give no camera to a page without it",
      `put a reverse proxy with HTTPS in front, or change ${spelled("tls")}`,
    );
  return fine(CHECK, "HTTPS is off: a reverse proxy has it, or only this machine comes");
}

const day = (time: number): string => new Date(time).toISOString().slice(0, 10);

function judgeSelfSigned({ data_dir, domain }: Config, { now }: CertificateParts): Finding {
  const file = join(data_dir, "tls/self-signed.pem");
  const trusted =
    `browsers warn of it until an authority gives one: ${spelled("tls")} = "acme" and ${spelled("domain")}, ` +
    "where ports 80 and 443 of the name lead here";
  let pem: string;
  try {
    pem = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT")
      return warning(CHECK, "self-signed, to be made at the first start", trusted);
    return skipped(CHECK, `${file} cannot be read by this user`);
  }
  try {
    const certificate = certificateOf(pem, pem, { chain: file, key: file });
    const renewed = now >= certificate.until || (domain !== "" && !isFor(certificate, domain));
    const until = renewed ? "to be made anew at the next start" : `until ${day(certificate.until)}`;
    return warning(CHECK, `self-signed, ${until}`, trusted);
  } catch (error) {
    return warning(CHECK, `${(error as Error).message}: it is made anew at the next start`, trusted);
  }
}

async function checkFiles({ https, domain }: Config, parts: CertificateParts): Promise<Finding[]> {
  try {
    const log = { info() {}, error() {} };
    const source = await certificateFiles({ ...https, clock: realClock, log });
    await source.stop();
    return judgeCertificate(source.current, {
      domain,
      ...parts,
      advice: "renew it: the files are read again by themselves",
    });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const change = `change ${spelled("https.certificate")} or ${spelled("https.key")}`;
    return [wrong(CHECK, error.message, change)];
  }
}

async function checkAcme({ domain, acme }: Config, parts: CertificateParts): Promise<Finding[]> {
  const authority = new URL(acme.directory).host;
  let certificate: Certificate | undefined;
  try {
    certificate = await parts.acme();
  } catch (error) {
    return [skipped(CHECK, `what ${authority} gave cannot be looked up: ${(error as Error).message}`)];
  }
  const advice =
    `read in the log why ${authority} gives none: port 80 (http-01) or 443 (tls-alpn-01) of ${domain} must lead here, ` +
    `see ${spelled("acme.challenge")}`;
  if (!certificate) {
    if (!parts.running) return [skipped(CHECK, `none from ${authority} yet: it is asked at the first start`)];
    return [wrong(CHECK, `none from ${authority} yet: visitors see a self-signed one`, advice)];
  }
  const findings = judgeCertificate(certificate, { domain, ...parts, advice });
  const { from, until } = certificate;
  const late = parts.now - dueAt(certificate) > Math.min(LATE_MS, (until - from) * LATE_PART);
  if (parts.running && late && findings.every(({ level }) => level === "fine"))
    return [warning(CHECK, `until ${day(until)}, and its renewal is late`, advice)];
  return findings;
}

export interface Expected {
  readonly domain: string;
  readonly now: number;
  readonly roots: readonly string[];
  /** What to do about one that ran out. */
  readonly advice: string;
}

export function judgeCertificate(
  certificate: Pick<Certificate, "chain" | "from" | "until" | "names" | "selfSigned">,
  { domain, now, roots, advice }: Expected,
): Finding[] {
  const { from, until, names, chain } = certificate;
  const findings: Finding[] = [];
  if (now >= until) findings.push(wrong(CHECK, `it ran out on ${day(until)}`, advice));
  else if (now < from)
    findings.push(wrong(CHECK, `it is not valid before ${day(from)}`, "look at the clock of this machine"));
  else if (runsOutSoon({ from, until }, now))
    findings.push(warning(CHECK, `it runs out on ${day(until)}`, advice));
  if (domain !== "" && !isFor(certificate as Certificate, domain))
    findings.push(
      wrong(
        CHECK,
        `it is for ${names.slice(0, 5).join(", ") || "no name"}, and not for ${domain}`,
        `take one for ${domain}, or change ${spelled("domain")}`,
      ),
    );
  const broken = brokenChain(chain, roots);
  if (broken) findings.push(broken);
  return findings.length > 0
    ? findings
    : [fine(CHECK, `for ${names.slice(0, 5).join(", ")}, until ${day(until)}`)];
}

const BLOCK = /-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g;

/** Follows the chain from the server's own certificate to an authority that this system knows. */
function brokenChain(pem: string, roots: readonly string[]): Finding | undefined {
  const chain = (pem.match(BLOCK) ?? []).map((block) => new X509Certificate(block));
  const change = `name the file that holds the whole chain (fullchain.pem) with ${spelled("https.certificate")}`;
  for (const [at, next] of chain.slice(1).entries())
    if (!chain[at]!.checkIssued(next))
      return wrong(
        CHECK,
        `certificate ${at + 2} of its chain is not of the authority that signed ${at + 1}`,
        change,
      );
  const last = chain.at(-1)!;
  const isRoot = last.subject === last.issuer;
  if (chain.length === 1 && isRoot)
    return warning(
      CHECK,
      "it is self-signed: browsers warn of it",
      "get one from an authority that browsers know",
    );
  const known = roots.some((root) => {
    const authority = new X509Certificate(root);
    return last.checkIssued(authority) || last.fingerprint256 === authority.fingerprint256;
  });
  if (known) return undefined;
  if (chain.length === 1)
    return wrong(
      CHECK,
      "the certificates of its authority are missing: many browsers refuse it then",
      change,
    );
  return warning(
    CHECK,
    "its chain ends at an authority that this system does not know",
    "that is right for a private authority which your visitors' browsers know",
  );
}
