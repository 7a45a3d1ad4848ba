/** An authority of the tests that browsers trust, as those that their makers know. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { sign } from "../../src/tls/test-authority.ts";

/** `npm test` puts it there, out of Debian's package. */
const CERTUTIL = fileURLToPath(new URL("../../.cache/test/nss/usr/bin/certutil", import.meta.url));

export interface Trust {
  /** The files of a certificate that the authority has given. */
  readonly certificate: string;
  readonly key: string;
  /** A HOME in which Chromium trusts the authority. */
  home(): string;
  /** A profile in which Firefox does. */
  profile(): string;
}

/** Everything is kept in `folder`; `host` is the name that the certificate is for. */
export async function trusted(folder: string, host: string): Promise<Trust> {
  if (!existsSync(CERTUTIL)) throw new Error("there is no certutil yet: run `npm test`");
  const authority = await sign({ name: "An authority of tests" });
  const own = await sign({ name: host, by: authority, host });
  const file = (name: string, content: string): string => {
    writeFileSync(join(folder, name), content, { mode: 0o600 });
    return join(folder, name);
  };
  const root = file("authority.pem", authority.pem);
  const trustIn = (database: string): void => {
    mkdirSync(database, { recursive: true });
    const certutil = (...args: string[]): unknown =>
      execFileSync(CERTUTIL, ["-d", `sql:${database}`, ...args], { stdio: "pipe" });
    certutil("-N", "--empty-password");
    certutil("-A", "-n", authority.name, "-t", "C,,", "-i", root);
  };
  let made = 0;
  return {
    certificate: file("own.pem", own.pem),
    key: file("own.key", own.key),
    home() {
      const home = join(folder, `home-${(made += 1)}`);
      trustIn(join(home, ".pki/nssdb"));
      return home;
    },
    profile() {
      const profile = join(folder, `profile-${(made += 1)}`);
      trustIn(profile);
      return profile;
    },
  };
}
