/** The executable as visitors live it: its page, what the operator asked for, the death of its Redis, signals, a restart. */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { get } from "node:http";
import type { IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { brotliDecompressSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Appliance } from "../../ui/e2e/appliance.ts";
import { startAppliance } from "../../ui/e2e/appliance.ts";
import type { Hello } from "../protocol/messages.ts";
import { Visitor } from "./visitor.ts";
import { isGone } from "../test-processes.ts";
import { until } from "../test-until.ts";

let folder: string;
let running: Appliance[];
let visitors: Visitor[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "chatrandom-appliance-"));
  [running, visitors] = [[], []];
});
afterEach(async () => {
  for (const { socket } of visitors) socket.terminate();
  for (const appliance of running) await appliance.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Always on the same data directory. */
async function serve(...args: string[]): Promise<Appliance> {
  const appliance = await startAppliance({ dataDir: join(folder, "data"), args });
  running.push(appliance);
  return appliance;
}

async function visit({ url }: Appliance, hello: Omit<Hello, "type"> = {}): Promise<Visitor> {
  const visitor = await Visitor.connect(new URL("/ws", url.replace("http", "ws")).href);
  visitors.push(visitor);
  await visitor.hello(hello);
  return visitor;
}

/** Two visitors in a pair. */
async function pair(appliance: Appliance, one = "one", other = "other"): Promise<[Visitor, Visitor, string]> {
  const both = [await visit(appliance, { device: one }), await visit(appliance, { device: other })] as const;
  both[0].find();
  await both[0].next("waiting");
  both[1].find();
  const { pair } = await both[1].next("matched");
  expect(await both[0].next("matched")).toMatchObject({ pair });
  return [...both, pair];
}

async function expectSignals(alice: Visitor, bob: Visitor, pair: string): Promise<void> {
  for (const [from, to] of [
    [alice, bob],
    [bob, alice],
  ] as const) {
    const data = { n: Math.random() };
    from.send({ type: "signal", pair, data });
    expect(await to.eventually("signal")).toEqual({ type: "signal", pair, data });
  }
}

const readiness = async ({ url }: Appliance) => (await fetch(new URL("/readyz", url))).status;

/** The processes that its Redis had, the last one runs now. */
const redisProcesses = (appliance: Appliance): number[] =>
  appliance
    .log()
    .split("\n")
    .map((line) => JSON.parse(line) as { msg: string; pid: number })
    .filter(({ msg }) => msg === "the embedded Redis is up")
    .map(({ pid }) => pid);

test("what the operator says of the place, of limits and of matching holds", async () => {
  const appliance = await serve(
    "--page-name=Attic & Co",
    "--limits-find-burst=1",
    "--limits-find-per-second=0.001",
    "--matching-interests-after=0s",
  );
  const alice = await visit(appliance);
  alice.find({ interests: ["chess"] });
  expect(await alice.next("waiting")).toMatchObject({ relaxed: ["interests"] });
  alice.find();
  expect(await alice.next("error")).toMatchObject({ code: "rate_limited" });
  expect(await (await fetch(appliance.url)).text()).toContain("<title>Attic &amp; Co</title>");
});

test("readyz tells a death of Redis that is over at once, and a pair goes on meanwhile", async () => {
  const appliance = await serve();
  const [alice, bob, id] = await pair(appliance);
  const [redis] = redisProcesses(appliance);
  process.kill(redis!, "SIGKILL");
  await until(async () => {
    if ((await readiness(appliance)) === 503) return true;
    if (redisProcesses(appliance).length > 1) throw new Error("Redis was back before readyz said a word");
    return false;
  });
  await expectSignals(alice, bob, id);
  await until(async () => (await readiness(appliance)) === 200, 20);
  expect(redisProcesses(appliance)).toHaveLength(2);
  await expectSignals(alice, bob, id);
  bob.find();
  expect(await alice.eventually("ended")).toEqual({ type: "ended", pair: id, reason: "next" });
});

test("S3: a pair that lived through a restart goes on", async () => {
  const before = await serve();
  const [alice, bob, id] = await pair(before);
  expect(await before.stop()).toBe(0);
  const after = await serve();
  const both = [
    await visit(after, { resume: alice.welcome.resume }),
    await visit(after, { resume: bob.welcome.resume }),
  ] as const;
  for (const { welcome } of both) expect(welcome).toMatchObject({ resumed: true, state: "paired", pair: id });
  await expectSignals(...both, id);
});

test("SIGHUP ends nothing, and Ctrl-C everything, in time", async () => {
  const appliance = await serve();
  const [alice, bob, id] = await pair(appliance);
  const [redis] = redisProcesses(appliance);
  process.kill(appliance.pid, "SIGHUP");
  await until(() => appliance.log().includes("SIGHUP: the configuration has not changed"), 20);
  await expectSignals(alice, bob, id);

  process.kill(appliance.pid, "SIGINT");
  for (const { closed } of [alice, bob]) expect((await closed).code).toBe(4400);
  await until(() => isGone(appliance.pid), 20);
  // One that takes longer than it may ends with 1.
  expect(await appliance.stop()).toBe(0);
  expect(isGone(redis!)).toBe(true);
});

test("the page is compressed, its files are for ever, and all it loads is its own", async () => {
  const { url } = await serve();
  const ask = async (path: string, headers: Record<string, string> = {}): Promise<IncomingMessage> => {
    const all = { "Accept-Encoding": "br", ...headers };
    const [answer] = (await once(get(new URL(path, url), { headers: all }), "response")) as [IncomingMessage];
    return answer;
  };
  const read = async (answer: IncomingMessage) => brotliDecompressSync(await buffer(answer)).toString();

  const answer = await ask("/");
  const { etag, ...headers } = answer.headers;
  expect(headers).toMatchObject({ "content-encoding": "br", "cache-control": "no-cache" });
  expect(headers["content-security-policy"]).not.toContain("unsafe");
  expect(headers["permissions-policy"]).toContain("camera=(self), microphone=(self)");
  expect((await ask("/", { "If-None-Match": etag! })).statusCode).toBe(304);

  const document = await read(answer);
  expect(document).not.toMatch(/<script(?![^>]*\ssrc=)|<style|\s(style|on\w+)=/);
  const named = [...document.matchAll(/\s(?:src|href)="([^"]+)"/g)].map(([, path]) => path!);
  const [manifest, ...assets] = named.toSorted((a, b) => Number(a.includes("/")) - Number(b.includes("/")));
  expect(manifest).toBe("manifest.webmanifest");
  expect(assets.map((path) => path.replace(/-[0-9A-Z]{8}\./, "-HASH.")).toSorted()).toEqual([
    "assets/app-HASH.css",
    "assets/favicon-HASH.svg",
    "assets/main-HASH.js",
  ]);
  for (const path of assets) {
    const asset = await ask(path);
    expect([path, asset.statusCode, asset.headers]).toMatchObject([
      path,
      200,
      { "content-encoding": "br", "cache-control": "public, max-age=31536000, immutable" },
    ]);
    expect(await read(asset)).not.toBe("");
  }
});

test("M3: a block outlives a restart", async () => {
  // Nobody is kept apart for having met.
  const never = ["--matching-recent-for=0s", "--matching-recent-after=0s"];
  const before = await serve(...never);
  const [alice, , id] = await pair(before, "alice", "bob");
  await pair(before, "carol", "dave");
  alice.send({ type: "block", pair: id });
  await alice.heard();
  expect(await before.stop()).toBe(0);

  const after = await serve(...never);
  await pair(after, "carol", "dave");
  const [alone, blocked] = [await visit(after, { device: "alice" }), await visit(after, { device: "bob" })];
  alone.find();
  const { since } = await alone.next("waiting");
  // Who waits longer is told by the millisecond.
  await until(() => Date.now() > since);
  blocked.find();
  await blocked.next("waiting");
  const eve = await visit(after, { device: "eve" });
  eve.find();
  expect(await alone.next("matched")).toMatchObject({ pair: (await eve.next("matched")).pair });
  await blocked.nothing();
});
