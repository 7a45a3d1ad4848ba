/** The embedded relay as tests run it: the coturn that was built, on free ports, with what a test wants else. */
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach } from "vitest";
import { loadConfig } from "../config/load.ts";
import { credentialsFor, type Credentials } from "./credentials.ts";
import { coturn, type EmbeddedRelay, type EmbeddedRelayOptions, openRelay } from "./embedded-relay.ts";

const cached = (name: string): string => fileURLToPath(new URL(`../../.cache/${name}`, import.meta.url));

/** @throws Error when there is none yet */
export function coturnBinary(): string {
  const path = process.env["CHATRANDOM_TURN_SERVER"] ?? cached("native/turnserver");
  if (!existsSync(path)) throw new Error("there is no coturn yet: run `npm run build` first");
  return path;
}

/** coturn's own client for tests. `npm test` puts it there, out of Debian's package. */
export function uclient(): string {
  const path = cached("test/coturn/usr/bin/turnutils_uclient");
  if (!existsSync(path)) throw new Error("there is no turnutils_uclient yet: run `npm test`");
  return path;
}

/** An address of this machine that is not loopback. */
export const ownAddress = (): string =>
  Object.values(networkInterfaces())
    .flatMap((all) => all ?? [])
    .find(({ internal, family }) => !internal && family === "IPv4")!.address;

export interface TestRelay extends EmbeddedRelay {
  readonly port: number;
  readonly proxyPort: number;
  readonly dataDir: string;
  readonly logged: { level: string; what: unknown; message: string | undefined }[];
  /** Good for an hour, or for as long as `seconds` says. */
  credentials(user?: string, seconds?: number): Credentials;
}

const SECRET = "5ecret0123456789";
const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of open.splice(0).reverse()) await end();
});

/** A relay that answers. `env` holds variables as the operator would set them. */
export async function startRelay(
  env: Record<string, string> = {},
  more: Partial<EmbeddedRelayOptions> = {},
): Promise<TestRelay> {
  const relay = await openTestRelay(env, more);
  await relay.start();
  return relay;
}

/** One that has chosen its port and is not started yet. */
export async function openTestRelay(
  env: Record<string, string> = {},
  more: Partial<EmbeddedRelayOptions> = {},
): Promise<TestRelay> {
  const dataDir = mkdtempSync(join(tmpdir(), "chatrandom-relay-"));
  open.push(async () => rmSync(dataDir, { recursive: true, force: true }));
  const { config } = loadConfig({
    env: {
      CHATRANDOM_DATA_DIR: dataDir,
      CHATRANDOM_TURN_PORT: "0",
      CHATRANDOM_TURN_PUBLIC_ADDRESS_FROM: "",
      ...env,
    },
  });
  const logged: TestRelay["logged"] = [];
  const say =
    (level: string) =>
    (what: unknown, message?: string): void =>
      void logged.push({ level, what, message });
  const log = { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") };
  const relay = await openRelay({
    config,
    secret: SECRET,
    log,
    program: { ...coturn, content: () => readFileSync(coturnBinary()) },
    ...more,
  });
  open.push(() => relay.stop());
  const { port, proxyPort } = relay.shared();
  return {
    ...relay,
    port,
    proxyPort,
    dataDir,
    logged,
    credentials: (user = "anna", seconds = 3_600) =>
      credentialsFor(SECRET, user, Date.now() + seconds * 1_000),
  };
}

export const ALL_ARRIVED = "tot_send_msgs=200, tot_recv_msgs=200\n";

export interface Load {
  host: string;
  port: number;
  credentials: Credentials;
  /** Such as `-t` for TCP, `-t -S` for TLS. */
  args?: string[];
}

/**
 * Four clients send each other fifty messages through the relay. Resolves with what the client says, in which `ALL_ARRIVED`
 * is found when nothing was lost. Hazard: it also says that nothing was lost where nothing could be sent.
 */
export function relayMessages({ host, port, credentials, args = [] }: Load): Promise<string> {
  const { username, credential } = credentials;
  const all = [
    ..."-y -n 50 -m 4 -l 300 -z 5 -p".split(" "),
    String(port),
    "-u",
    username,
    "-w",
    credential,
    ...args,
    host,
  ];
  return new Promise((resolve) => {
    execFile(uclient(), all, { timeout: 50_000 }, (_error, stdout, stderr) => resolve(stdout + stderr));
  });
}
