/** Nodes of a cluster with one certificate: an authority as Let's Encrypt is, which finds every domain on this machine. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { connect } from "node:tls";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { connectRedis } from "../redis/client.ts";
import { acmeKeys, PREFIX } from "../redis/keys.ts";
import { startTestRedis } from "../redis/test-server.ts";
import { type Pebble, startPebble } from "../tls/test-pebble.ts";

const EXECUTABLE = fileURLToPath(new URL("../../dist/chatrandom", import.meta.url));
const domain = "chat.example.test";

let folder: string;
let pebble: Pebble;
let cleanUp: (() => Promise<unknown> | unknown)[];
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "chatrandom-acme-"));
  pebble = await startPebble();
  cleanUp = [() => rmSync(folder, { recursive: true, force: true }), () => pebble.stop()];
});
afterEach(async () => {
  for (const end of cleanUp.reverse()) await end();
});

const until = <T>(what: () => T | Promise<T>) => vi.waitUntil(what, { timeout: 60_000, interval: 50 });

/** Resolves with its port once it serves. */
async function start(args: readonly string[], env: Record<string, string>): Promise<number> {
  const lines: string[] = [];
  const child: ChildProcess = spawn(EXECUTABLE, [...args, "--host=127.0.0.1", "--log-format=json"], {
    env: { PATH: process.env.PATH!, HOME: folder, NODE_EXTRA_CA_CERTS: pebble.certificate, ...env },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const ended = once(child, "exit");
  cleanUp.push(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  createInterface({ input: child.stderr! }).on("line", (line) => lines.push(line));
  const ready = until(() => lines.find((line) => line.includes('"msg":"ready"')));
  await Promise.race([ready, ended]);
  if (child.exitCode !== null) throw new Error(`it ended:\n${lines.join("\n")}`);
  return Number(new URL((JSON.parse((await ready)!) as { url: string }).url).port);
}

/** What a visitor's browser is shown. */
const shown = (port: number) =>
  new Promise<{ fingerprint: string; selfSigned: boolean }>((resolve, reject) => {
    const options = { host: "127.0.0.1", port, servername: domain, rejectUnauthorized: false };
    const socket = connect(options, () => {
      const { fingerprint256, subject, issuer } = socket.getPeerX509Certificate()!;
      resolve({ fingerprint: fingerprint256, selfSigned: subject === issuer });
      socket.destroy();
    }).on("error", reject);
  });

test.each([
  ["http-01", () => [`--acme-http-port=${pebble.httpPort}`, "--port=0"]],
  ["tls-alpn-01", () => [`--port=${pebble.tlsPort}`]],
])(
  "one node gets it by %s for all, also where the authority comes to another one",
  async (check, reached) => {
    const redis = await startTestRedis();
    cleanUp.push(() => redis.stop());
    const asking = connectRedis(redis.url);
    cleanUp.push(() => asking.close());
    await asking.check(5_000);
    const lease = `${acmeKeys(PREFIX, new URL(pebble.directory).host, domain)}lease`;
    const secret = { CHATRANDOM_LINK_SECRET: randomBytes(32).toString("hex") };
    const node = (name: string, ...args: string[]) =>
      start(
        [
          "join",
          `--redis=${redis.url}`,
          "--tls=acme",
          `--domain=${domain}`,
          `--acme-directory=${pebble.directory}`,
          `--acme-challenge=${check}`,
          `--data-dir=${join(folder, name)}`,
          "--link-port=0",
          "--turn-enabled=false",
          ...args,
        ],
        secret,
      );

    // The one that the authority comes to may not ask for a certificate, as if another one were at it.
    await asking.client.set(lease, "another", "PX", 60_000);
    const first = await node("first", ...reached());
    expect((await shown(first)).selfSigned).toBe(true);
    await asking.client.del(lease);
    const second = await node("second", "--port=0", "--acme-http-port=0");

    await until(async () => !(await shown(second)).selfSigned);
    const { fingerprint } = await shown(second);
    await until(async () => (await shown(first)).fingerprint === fingerprint);
    expect(pebble.output().match(/Issued certificate/g)).toHaveLength(1);
  },
);
