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
import { afterEach, beforeEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import { connectRedis } from "../redis/client.ts";
import { acmeKeys, PREFIX } from "../redis/keys.ts";
import { startTestRedis } from "../redis/test-server.ts";
import { until } from "../test-until.ts";
import { dueAt } from "../tls/renewal.ts";
import { type Pebble, type PebbleRules, startPebble } from "../tls/test-pebble.ts";

const EXECUTABLE = fileURLToPath(new URL("../../dist/chatrandom", import.meta.url));
const domain = "chat.example.test";

let folder: string;
let pebble: Pebble;
let cleanUp: (() => Promise<unknown> | unknown)[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "chatrandom-acme-"));
  cleanUp = [() => rmSync(folder, { recursive: true, force: true })];
});
afterEach(async () => {
  for (const end of cleanUp.reverse()) await end();
});

interface RunningNode {
  readonly port: number;
  /** What it has logged so far. */
  readonly lines: readonly string[];
}

/** Resolves once it serves. */
async function start(args: readonly string[], env: Record<string, string>): Promise<RunningNode> {
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
  return { port: Number(new URL((JSON.parse((await ready)!) as { url: string }).url).port), lines };
}

/** An authority, a Redis that is shared, and how to start nodes with both. */
async function place(rules: PebbleRules, ...options: readonly string[]) {
  pebble = await startPebble(rules);
  cleanUp.push(() => pebble.stop());
  const redis = await startTestRedis();
  cleanUp.push(() => redis.stop());
  const secret = { CHATRANDOM_LINK_SECRET: randomBytes(32).toString("hex") };
  const all = [
    "join",
    `--redis=${redis.url}`,
    "--tls=acme",
    `--domain=${domain}`,
    `--acme-directory=${pebble.directory}`,
    "--link-port=0",
    "--turn-enabled=false",
    ...options,
  ];
  const node = (name: string, ...args: string[]) =>
    start([...all, `--data-dir=${join(folder, name)}`, ...args], secret);
  return { redis, node };
}

/** What a visitor's browser is shown. */
const shown = ({ port }: RunningNode) =>
  new Promise<{ fingerprint: string; selfSigned: boolean; from: number; until: number }>(
    (resolve, reject) => {
      const options = { host: "127.0.0.1", port, servername: domain, rejectUnauthorized: false };
      const socket = connect(options, () => {
        const { fingerprint256, subject, issuer, validFromDate, validToDate } =
          socket.getPeerX509Certificate()!;
        resolve({
          fingerprint: fingerprint256,
          selfSigned: subject === issuer,
          from: validFromDate.getTime(),
          until: validToDate.getTime(),
        });
        socket.destroy();
      }).on("error", reject);
    },
  );

const issued = () => pebble.output().match(/Issued certificate/g)?.length ?? 0;

test.each([
  ["http-01", () => [`--acme-http-port=${pebble.httpPort}`, "--port=0"]],
  ["tls-alpn-01", () => [`--port=${pebble.tlsPort}`]],
])(
  "one node gets it by %s for all, also where the authority comes to another one",
  async (check, reached) => {
    const { redis, node } = await place({}, `--acme-challenge=${check}`);
    const asking = connectRedis(redis.url);
    cleanUp.push(() => asking.close());
    await asking.check(5_000);
    const lease = `${acmeKeys(PREFIX, new URL(pebble.directory).host, domain)}lease`;

    // The one that the authority comes to may not ask for a certificate, as if another one were at it.
    await asking.client.set(lease, "another", "PX", 60_000);
    const first = await node("first", ...reached());
    expect((await shown(first)).selfSigned).toBe(true);
    await asking.client.del(lease);
    const second = await node("second", "--port=0", "--acme-http-port=0");

    await until(async () => !(await shown(second)).selfSigned, 50);
    const { fingerprint } = await shown(second);
    await until(async () => (await shown(first)).fingerprint === fingerprint, 50);
    expect(issued()).toBe(1);
  },
);

test("one of a short life is renewed for all by one node, also after the authority was away", async () => {
  const { node } = await place({ lifetime: 7 }, "--acme-challenge=http-01");
  const nodes = await Promise.all([
    node("first", "--port=0", `--acme-http-port=${pebble.httpPort}`),
    node("second", "--port=0", "--acme-http-port=0"),
  ]);
  /** What each node shows, which is never a stopgap again once there is one of the authority. */
  const all = async (old: string) => {
    const each = await Promise.all(nodes.map(shown));
    if (old !== "") expect(each.map(({ selfSigned }) => selfSigned)).toEqual([false, false]);
    return each;
  };
  /** Resolves once all show a new one, and the same. */
  const next = (old = "") =>
    until(async () => {
      const [one, other] = await all(old);
      const same = one!.fingerprint === other!.fingerprint;
      return same && !one!.selfSigned && one!.fingerprint !== old && one!;
    }, 50);

  const first = await next();
  const visitor = new WebSocket(`wss://127.0.0.1:${nodes[0].port}/ws`, "chatrandom.v1", {
    rejectUnauthorized: false,
  });
  cleanUp.push(() => visitor.terminate());
  await once(visitor, "open");
  visitor.send('{"type":"hello"}');

  const isRenewed = async () =>
    (await all(first.fingerprint)).some(({ fingerprint }) => fingerprint !== first.fingerprint);
  await until(isRenewed, 50);
  await pebble.leave();
  expect(issued()).toBe(2);
  const second = await next(first.fingerprint);
  // Certificates know whole seconds.
  expect(second.from).toBeGreaterThanOrEqual(Math.floor(dueAt(first) / 1_000) * 1_000);

  const failed = () =>
    nodes.flatMap(({ lines }) => lines).filter((line) => line.includes("could not be renewed"));
  await until(() => failed().length >= 3);
  expect(JSON.parse(failed()[0]!)).toMatchObject({
    reason: `cannot reach ${new URL(pebble.directory).host}: ECONNREFUSED`,
    again: "in 1 s",
  });
  for (const each of nodes) expect((await shown(each)).fingerprint).toBe(second.fingerprint);

  await pebble.comeBack();
  await next(second.fingerprint);
  // Who came with the first certificate goes on.
  const answered = new Promise((resolve) =>
    visitor.on("message", (data) => String(data).includes('"pong"') && resolve(data)),
  );
  visitor.send('{"type":"ping","t":1}');
  expect(String(await answered)).toBe('{"type":"pong","t":1}');
});
