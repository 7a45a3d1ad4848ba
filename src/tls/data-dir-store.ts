/** Keeps account and certificate in the data directory, which belongs to one process at a time. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../clock.ts";
import { makeDirectory } from "../embedded/extract.ts";
import { type Certificate, certificateOf } from "./certificate.ts";
import type { Account, CertificateStore, CheckAnswer } from "./certificate-store.ts";
import { keepPrivately } from "./keep.ts";

export interface DataDirStoreParts {
  readonly directory: string;
  readonly domain: string;
  /** The address of its ACME directory: what one authority gave is nothing to another. */
  readonly authority: string;
  readonly clock: Clock;
  readonly log: { warn(what: object, message: string): void };
}

export function dataDirStore({
  directory,
  domain,
  authority,
  clock,
  log,
}: DataDirStoreParts): CertificateStore {
  const folder = join(directory, new URL(authority).host.replaceAll(/[^\w.-]/g, "_"));
  const accountFile = join(folder, "account.json");
  const certificateFile = join(folder, `${domain}.pem`);
  const answers = new Map<string, { answer: CheckAnswer; until: number }>();
  let failures = 0;
  let leasedUntil = Number.NEGATIVE_INFINITY;

  const read = (file: string): string | undefined => {
    try {
      return readFileSync(file, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT")
        log.warn({ err: error, file }, "cannot read a file");
      return undefined;
    }
  };
  const keep = (file: string, content: string): void => {
    makeDirectory(folder);
    keepPrivately(file, content);
  };

  return {
    async account() {
      const text = read(accountFile);
      if (text === undefined) return undefined;
      try {
        return JSON.parse(text) as Account;
      } catch {
        log.warn({ file: accountFile }, "the account that was kept cannot be read; making a new one");
        return undefined;
      }
    },
    saveAccount: async (account) => keep(accountFile, JSON.stringify(account)),
    async certificate(): Promise<Certificate | undefined> {
      const pem = read(certificateFile);
      if (pem === undefined) return undefined;
      try {
        return certificateOf(pem, pem, { chain: certificateFile, key: certificateFile });
      } catch (error) {
        log.warn({ err: error }, "the certificate that was kept cannot be used");
        return undefined;
      }
    },
    // One file for both, so that they always fit.
    saveCertificate: async ({ key, chain }) => keep(certificateFile, key + chain),
    async putAnswer(answer, ms) {
      answers.set(answer.token, { answer, until: clock.now() + ms });
    },
    async dropAnswer({ token }) {
      answers.delete(token);
    },
    async answer(token) {
      for (const [each, { until }] of answers) if (until <= clock.now()) answers.delete(each);
      return token === undefined ? [...answers.values()].at(-1)?.answer : answers.get(token)?.answer;
    },
    // Failures do not outlive the process, and nobody else has any.
    async forgive() {},
    async lease(ms) {
      if (clock.now() < leasedUntil) return undefined;
      leasedUntil = clock.now() + ms;
      return {
        failures,
        async done() {
          failures = 0;
          leasedUntil = Number.NEGATIVE_INFINITY;
        },
        async failed(wait) {
          failures += 1;
          leasedUntil = clock.now() + wait;
        },
      };
    },
  };
}
