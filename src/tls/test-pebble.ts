import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { freePort } from "../test-ports.ts";
import { createSelfSigned } from "./self-signed.ts";

/** An authority for tests, which checks domains as Let's Encrypt does and finds every one of them on this machine. */
export interface Pebble {
  /** The address of its ACME directory. This process trusts what is there. */
  readonly directory: string;
  /** The file with its own certificate, for other processes to trust it. */
  readonly certificate: string;
  /** The ports that it comes to in place of 80 and 443. Nothing listens there yet. */
  readonly httpPort: number;
  readonly tlsPort: number;
  /** What it and its name server have printed so far. */
  readonly output: () => string;
  /** Ends the authority as if it were away; what it knew of accounts and orders is lost. */
  leave(): Promise<void>;
  /** Starts it again where it was. */
  comeBack(): Promise<void>;
  stop(): Promise<void>;
}

const BINARIES = ["/usr/bin/pebble", "/usr/bin/pebble-challtestsrv"] as const;

export interface PebbleRules {
  /** How long its certificates are valid, in seconds. */
  readonly lifetime?: number;
  /** It wants accounts bound by one of these keys, by their names. */
  readonly bindingKeys?: Readonly<Record<string, string>>;
}

/**
 * Starts it with an account book, an issuer and a name server of its own; all are gone when it stops.
 * @throws Error when it is not installed
 */
export async function startPebble({
  lifetime = 90 * 86_400,
  bindingKeys,
}: PebbleRules = {}): Promise<Pebble> {
  const [binary, nameServer] = BINARIES;
  if (!existsSync(binary) || !existsSync(nameServer)) {
    throw new Error(
      "there is no pebble: npm test installs it, or apt-get install --no-install-recommends pebble",
    );
  }
  const root = mkdtempSync(join(tmpdir(), "chatrandom-pebble-"));
  // A name of its own first: of two that are trusted by the same name OpenSSL looks at one only.
  const name = `${randomBytes(8).toString("hex")}.test`;
  const own = await createSelfSigned([name, "localhost", "127.0.0.1"], Date.now());
  const [listen, management, httpPort, tlsPort, challenges, dns] = await Promise.all([
    freePort(),
    freePort(),
    freePort(),
    freePort(),
    freePort(),
    freePort(),
  ]);
  const file = (name: string, content: string): string => {
    writeFileSync(join(root, name), content);
    return join(root, name);
  };
  const certificate = file("cert.pem", own.chain);
  const config = file(
    "pebble.json",
    JSON.stringify({
      pebble: {
        listenAddress: `127.0.0.1:${listen}`,
        managementListenAddress: `127.0.0.1:${management}`,
        certificate,
        privateKey: file("key.pem", own.key),
        httpPort,
        tlsPort,
        ocspResponderURL: "",
        externalAccountBindingRequired: bindingKeys !== undefined,
        externalAccountMACKeys: bindingKeys,
        certificateValidityPeriod: lifetime,
      },
    }),
  );

  let output = "";
  const children: ChildProcess[] = [];
  /** Resolves once the program says `ready`. */
  const run = (
    program: string,
    args: string[],
    ready: string,
    env: Record<string, string> = {},
  ): Promise<void> =>
    new Promise((resolve, reject) => {
      const child = spawn(program, args, { cwd: root, env: { ...process.env, ...env } });
      children.push(child);
      let own = "";
      const read = (text: Buffer): void => {
        own += String(text);
        output += String(text);
        if (own.includes(ready)) resolve();
      };
      child.stdout.on("data", read);
      child.stderr.on("data", read);
      child.on("error", reject);
      child.on("exit", (code) => reject(new Error(`${program} ended with ${code}: ${output}`)));
    });
  const runNameServer = () => {
    const off = ["-http01", "", "-https01", "", "-tlsalpn01", ""];
    const names = ["-dns01", `127.0.0.1:${dns}`, "-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""];
    const management = ["-management", `127.0.0.1:${challenges}`];
    return run(nameServer, [...off, ...names, ...management], "Starting management server");
  };
  const runAuthority = () =>
    run(binary, ["-config", config, "-dnsserver", `127.0.0.1:${dns}`], "Listening on:", {
      PEBBLE_VA_NOSLEEP: "1",
    });
  const end = async (child: ChildProcess | undefined): Promise<void> => {
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
  };

  const before = getCACertificates("default");
  const stop = async (): Promise<void> => {
    setDefaultCACertificates(before);
    await Promise.all(children.map(end));
    rmSync(root, { recursive: true, force: true });
  };
  try {
    await runNameServer();
    await runAuthority();
    setDefaultCACertificates([...before, own.chain]);
  } catch (error) {
    await stop();
    throw error;
  }
  const directory = `https://127.0.0.1:${listen}/dir`;
  return {
    directory,
    certificate,
    httpPort,
    tlsPort,
    output: () => output,
    leave: () => end(children.at(-1)),
    comeBack: runAuthority,
    stop,
  };
}
