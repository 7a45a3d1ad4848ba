/** A certificate and its key in two files of the operator's, read again when they change. */
import { readFile, stat } from "node:fs/promises";
import type { Clock } from "../clock.ts";
import { Failure } from "../failure.ts";
import { type Certificate, certificateOf, type CertificateSource } from "./certificate.ts";

export interface CertificateFilesParts {
  readonly certificate: string;
  readonly key: string;
  readonly clock: Clock;
  readonly log: { info(what: object, message: string): void; error(what: object, message: string): void };
  /** Told of one that has taken the place of the other. */
  readonly taken?: (certificate: Certificate) => void;
}

/**
 * How often the files are looked at. Notices of the file system would be no earlier where it matters: they miss links
 * that are pointed elsewhere, which is how most renew, and network file systems.
 */
const LOOK_MS = 2_000;

/** Throws a `Failure`, one line, when they cannot be used. Later ones that cannot be used are logged. */
export async function certificateFiles(parts: CertificateFilesParts): Promise<CertificateSource> {
  const { clock, log } = parts;
  /** The files as they were when they were last taken, looked at, and said to be of no use. */
  let used = await stamp(parts);
  let seen = used;
  let refused: string | undefined;
  let current = await load(parts);
  let looking = false;

  const look = async (): Promise<void> => {
    const now = await stamp(parts);
    // The two are not written at once: they are read when they have stayed as they are for a while.
    const settled = now === seen;
    seen = now;
    if (now === used || !settled) return;
    try {
      current = await load(parts);
      used = now;
      log.info(
        { fingerprint: current.fingerprint, until: new Date(current.until) },
        "took the new certificate",
      );
      parts.taken?.(current);
    } catch (error) {
      // It is tried again, since it may be the reading that failed.
      if (refused === now) return;
      refused = now;
      log.error(
        { reason: (error as Error).message },
        "the new certificate cannot be used; the old one stays",
      );
    }
  };
  const stop = clock.every(LOOK_MS, () => {
    if (looking) return;
    looking = true;
    void look().finally(() => void (looking = false));
  });
  return {
    get current() {
      return current;
    },
    stop,
  };
}

async function load({ certificate, key }: CertificateFilesParts): Promise<Certificate> {
  const named = { chain: `https.certificate (${certificate})`, key: `https.key (${key})` };
  return certificateOf(await read(certificate, named.chain), await read(key, named.key), named);
}

async function read(file: string, name: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    const { code = "" } = cause as NodeJS.ErrnoException;
    throw new Failure(`${name} ${REASONS[code] ?? `cannot be read: ${code}`}`, 1, { cause });
  }
}

const REASONS: Record<string, string> = {
  ENOENT: "does not exist",
  ENOTDIR: "does not exist",
  EACCES: "cannot be read: permission denied",
  EISDIR: "is a directory",
};

/** Changes with every change of the files: their content, their rights, or which files they are. */
async function stamp({ certificate, key }: CertificateFilesParts): Promise<string> {
  const each = [certificate, key].map(async (file) => {
    try {
      const { dev, ino, size, ctimeNs } = await stat(file, { bigint: true });
      return `${dev} ${ino} ${size} ${ctimeNs}`;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code;
    }
  });
  return (await Promise.all(each)).join("\n");
}
