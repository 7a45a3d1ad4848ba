/** Several workers behind one port: the real executable, its processes, and the death of each kind of them. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { redisRegistry } from "../links/redis-registry.ts";
import { connectRedis } from "../redis/client.ts";
import { PREFIX } from "../redis/keys.ts";
import { startTestRedis } from "../redis/test-server.ts";
import { readStatus } from "../status.ts";
import { Visitor } from "./visitor.ts";
import { isGone } from "../test-processes.ts";
import { until } from "../test-until.ts";

const dist = (name: string): string => fileURLToPath(new URL(`../../dist/${name}`, import.meta.url));
const EXECUTABLE = dist("chatrandom");
const run = promisify(execFile);

let folder: string;
let cleanUp: (() => Promise<unknown> | unknown)[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "chatrandom-workers-"));
  cleanUp = [() => rmSync(folder, { recursive: true, force: true })];
});
afterEach(async () => {
  for (const end of cleanUp.reverse()) await end();
});

interface Line {
  level: string;
  msg: string;
  worker?: number;
  pid?: number;
  url?: string;
}

class Appliance {
  readonly child: ChildProcess;
  readonly lines: Line[] = [];
  readonly ended: Promise<[code: number | null, signal: string | null]>;

  constructor(command: readonly string[], args: readonly string[], env: Record<string, string> = {}) {
    const [file, ...before] = command;
    this.child = spawn(
      file!,
      [
        ...before,
        ...args,
        "--port=0",
        "--turn-port=0",
        "--host=127.0.0.1",
        `--data-dir=${folder}/data`,
        "--log-format=json",
      ],
      {
        cwd: folder,
        env: { PATH: process.env.PATH!, HOME: folder, ...env },
        stdio: ["ignore", "ignore", "pipe"],
      },
    );
    this.ended = once(this.child, "exit") as Promise<[number | null, string | null]>;
    createInterface({ input: this.child.stderr! }).on("line", (line) => {
      this.lines.push(JSON.parse(line) as Line);
    });
  }

  static async start(...given: ConstructorParameters<typeof Appliance>): Promise<Appliance> {
    const appliance = new Appliance(...given);
    cleanUp.push(async () => {
      if (appliance.child.exitCode === null && appliance.child.signalCode === null)
        appliance.child.kill("SIGKILL");
      await until(() => appliance.processes.every(isGone), 20);
    });
    const isReady = until(() => appliance.lines.find(({ msg }) => msg === "ready"), 20);
    await Promise.race([isReady, appliance.ended]);
    if (!appliance.url) throw new Error(`it ended:\n${JSON.stringify(appliance.lines, undefined, 1)}`);
    return appliance;
  }

  get url(): string {
    return this.lines.find(({ msg }) => msg === "ready")?.url ?? "";
  }

  /** Every worker that there ever was, oldest first. */
  get workers(): { worker: number; pid: number }[] {
    return this.lines.filter(({ msg }) => msg === "the worker is up") as { worker: number; pid: number }[];
  }

  /** Workers and Redis. */
  get processes(): number[] {
    return this.lines.filter(({ msg }) => msg.endsWith(" is up")).map(({ pid }) => pid!);
  }

  async metrics(): Promise<Map<string, number>> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    return new Map(
      lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ")))]),
    );
  }

  async visitor(resume?: string): Promise<Visitor> {
    const visitor = await Visitor.connect(`${this.url.replace("http", "ws")}/ws`);
    cleanUp.push(() => visitor.socket.terminate());
    await visitor.hello(resume === undefined ? {} : { resume });
    return visitor;
  }

  /** Two visitors in a pair. */
  async pair(): Promise<Pair> {
    const answerer = await this.visitor();
    answerer.find();
    await answerer.next("waiting");
    const offerer = await this.visitor();
    offerer.find();
    const { pair } = await offerer.next("matched");
    expect((await answerer.next("matched")).pair).toBe(pair);
    return { id: pair, sides: [offerer, answerer] };
  }
}

interface Pair {
  id: string;
  sides: [Visitor, Visitor];
}

/** A signal each way, and nothing else. */
async function expectToReach({ id, sides: [a, b] }: Pair): Promise<void> {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    const n = randomBytes(4).toString("hex");
    from.send({ type: "signal", pair: id, data: { n } });
    expect(await to.next("signal")).toEqual({ type: "signal", pair: id, data: { n } });
  }
}

const isOpen = ({ socket }: Visitor): boolean => socket.readyState === socket.OPEN;

const PAIRS = 20;

test("two workers are one place: matched across, one scrape; kill -9 of one ends no pair, of the supervisor leaves nothing", async () => {
  const appliance = await Appliance.start([EXECUTABLE], ["serve", "--workers=2"]);
  expect(appliance.workers.map(({ worker }) => worker).sort()).toEqual([0, 1]);
  for (const { pid } of appliance.workers) {
    // Nothing of what a worker is told stands where every user of the machine can read it.
    expect(readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")).toEqual([EXECUTABLE, "worker", ""]);
  }

  const pairs: Pair[] = [];
  for (let n = 0; n < PAIRS; n += 1) pairs.push(await appliance.pair());
  for (const pair of pairs) await expectToReach(pair);

  // Whichever worker a scrape comes to, it tells of all.
  for (let n = 0; n < 8; n += 1) {
    const metrics = await appliance.metrics();
    expect(metrics.get("chatrandom_workers_answered")).toBe(2);
    expect(metrics.get("chatrandom_connections")).toBe(2 * PAIRS);
    expect(metrics.get("chatrandom_pairs_active")).toBe(PAIRS);
    expect(metrics.get('chatrandom_matches_total{mode="video"}')).toBe(PAIRS);
    const [local, link] = ["local", "link"].map((way) =>
      metrics.get(`chatrandom_signals_relayed_total{route="${way}"}`)!,
    );
    expect(local! + link!).toBe(2 * PAIRS);
    // With so many pairs some are on one worker and some on two: one in a million runs it is otherwise.
    expect(link).toBeGreaterThan(0);
  }

  // One worker dies.
  const [victim, survivor] = appliance.workers as [{ pid: number; worker: number }, { pid: number }];
  const here = { dataDir: join(folder, "data") };
  const leases = new Map(
    (await readStatus(here)).nodes.map(({ id, lease }) => [id, performance.now() + lease]),
  );
  process.kill(victim.pid, "SIGKILL");
  await until(() => isGone(victim.pid), 20);
  const visitors = pairs.flatMap(({ sides }) => sides);
  await until(() => visitors.some((visitor) => !isOpen(visitor)), 20);
  // It starts again, while the other goes on.
  await until(() => appliance.workers.length === 3, 20);
  expect(appliance.workers[2]!.worker).toBe(victim.worker);
  expect(isGone(survivor.pid)).toBe(false);
  // Its successor has said that it is dead, and did not wait for its lease to run out.
  const dead = (await readStatus(here)).nodes.find(({ lease }) => lease <= 0)!;
  expect(performance.now() + dead.lease).toBeLessThan(leases.get(dead.id)!);

  const untouched = pairs.filter(({ sides }) => sides.every(isOpen));
  const torn = pairs.filter(({ sides }) => !sides.every(isOpen));
  expect(torn.length).toBeGreaterThan(0);
  expect(torn.length).toBeLessThan(PAIRS);
  for (const pair of untouched) await expectToReach(pair);
  for (const { id, sides } of torn) {
    for (const [n, side] of sides.entries()) {
      if (isOpen(side)) continue;
      // S3: the session goes on, in its pair, wherever it is resumed.
      const { welcome } = (sides[n] = await appliance.visitor(side.welcome.resume));
      expect(welcome).toMatchObject({ resumed: true, state: "paired", pair: id });
    }
  }
  for (const pair of torn) await expectToReach(pair);
  const metrics = await appliance.metrics();
  expect(metrics.get("chatrandom_connections")).toBe(2 * PAIRS);
  expect(metrics.get("chatrandom_worker_restarts_total")).toBe(1);
  expect(metrics.get('chatrandom_matches_total{mode="video"}')).toBe(PAIRS);
  expect(metrics.get('chatrandom_signals_relayed_total{route="local"}')).toBeGreaterThan(0);

  // The supervisor dies: all end by themselves, also Redis.
  appliance.child.kill("SIGKILL");
  await until(() => appliance.processes.every(isGone), 20);

  // The next run takes over at once, and does not look for the workers of the last one.
  const next = await Appliance.start([EXECUTABLE], ["serve", "--workers=2"]);
  expect((await fetch(`${next.url}/readyz`)).status).toBe(200);
  await expectToReach(await next.pair());
  expect(readdirSync(join(folder, "data/redis")).filter((name) => /^w.{6}$/.test(name))).toHaveLength(1);
});

test("a worker that hangs is replaced, and a scrape tells of it", async () => {
  const appliance = await Appliance.start([EXECUTABLE], ["serve", "--workers=2"]);
  const { id, sides } = await appliance.pair();
  const hung = appliance.workers[0]!;
  process.kill(hung.pid, "SIGSTOP");
  await until(() => appliance.workers.length === 3, 20);
  expect(isGone(hung.pid)).toBe(true);
  const metrics = await appliance.metrics();
  expect(metrics.get("chatrandom_workers_answered")).toBe(2);
  expect(metrics.get("chatrandom_worker_restarts_total")).toBe(1);
  // Whoever was there resumes; the pair is the same when nobody was away for longer than the grace.
  for (const [n, side] of sides.entries()) {
    if (isOpen(side)) continue;
    sides[n] = await appliance.visitor(side.welcome.resume);
    expect(sides[n].welcome).toMatchObject({ resumed: true, state: "paired", pair: id });
  }
  await expectToReach({ id, sides });
});

test.each(["SIGTERM", "SIGINT"] as const)(
  "%s ends every process, exits 0 and leaves no socket",
  async (signal) => {
    const appliance = await Appliance.start([EXECUTABLE], ["serve", "--workers=2"]);
    const { sides } = await appliance.pair();
    appliance.child.kill(signal);
    expect(await appliance.ended).toEqual([0, null]);
    for (const { closed } of sides) expect((await closed).code).toBe(4400);
    expect(appliance.processes.filter((pid) => !isGone(pid))).toEqual([]);
    expect(readdirSync(join(folder, "data/redis"))).toEqual(["appendonlydir"]);
    expect(appliance.lines.filter(({ level }) => !["info"].includes(level))).toEqual([]);
  },
);

test("visitors who do not answer when they are told that it ends do not make it end otherwise", async () => {
  const appliance = await Appliance.start([EXECUTABLE], ["serve", "--workers=2", "--drain-timeout=0s"]);
  // On both workers.
  for (let n = 0; n < 16; n += 1) (await appliance.visitor()).socket.pause();
  appliance.child.kill("SIGTERM");
  expect(await appliance.ended).toEqual([0, null]);
  expect(appliance.lines.filter(({ level }) => level !== "info")).toEqual([]);
});

test.each([1, 2])(
  "workers=%i: after a kill -9 and a start at once nobody is matched with who was there before",
  async (workers) => {
    const args = ["serve", `--workers=${workers}`];
    const before = await Appliance.start([EXECUTABLE], args);
    const gone = await before.visitor();
    gone.find();
    await gone.next("waiting");
    before.child.kill("SIGKILL");
    await until(() => before.processes.every(isGone), 20);

    const after = await Appliance.start([EXECUTABLE], args);
    const visitor = await after.visitor();
    visitor.find();
    await visitor.next("waiting");
    const { nodes } = await readStatus({ dataDir: join(folder, "data") });
    expect(nodes.filter(({ lease }) => lease > 0)).toHaveLength(workers);
  },
);

test("SIGHUP is the supervisor's: it says what has changed, and no worker ends", async () => {
  const appliance = await Appliance.start([EXECUTABLE], ["serve", "--workers=2"]);
  appliance.child.kill("SIGHUP");
  await until(() => appliance.lines.some(({ msg }) => msg.startsWith("SIGHUP: ")), 20);
  for (const { pid } of appliance.workers) process.kill(pid, "SIGHUP");
  const { sides } = await appliance.pair();
  for (const side of sides) await side.nothing();
  expect(appliance.workers.filter(({ pid }) => isGone(pid))).toEqual([]);
});

test("it runs from the bundle too", async () => {
  const appliance = await Appliance.start(
    [process.execPath, dist("server/chatrandom.cjs")],
    ["serve", "--workers=2"],
  );
  expect(appliance.workers).toHaveLength(2);
  await expectToReach(await appliance.pair());
  appliance.child.kill("SIGTERM");
  expect(await appliance.ended).toEqual([0, null]);
});

/** Connections to a listening socket that has no file, or to a port, as the kernel knows them. */
function connectionsTo(endpoint: string): number {
  const lines = (name: string): string[] => readFileSync(`/proc/net/${name}`, "utf8").split("\n");
  const [kind, place] = endpoint.split("://") as [string, string];
  if (kind === "ipc")
    return lines("unix").filter((line) => / 03 +\d+ (.*)$/.exec(line)?.[1] === place).length;
  const port = Number(place.slice(place.lastIndexOf(":") + 1))
    .toString(16)
    .toUpperCase()
    .padStart(4, "0");
  const isEstablished = new RegExp(`^ *\\d+: [0-9A-F]+:${port} [0-9A-F]+:[0-9A-F]{4} 01 `);
  return [...lines("tcp"), ...lines("tcp6")].filter((line) => isEstablished.test(line)).length;
}

test("join runs workers too: nodes of the cluster like all others, linked by ipc among themselves", async () => {
  const redis = await startTestRedis();
  cleanUp.push(() => redis.stop());
  const secret = randomBytes(32).toString("hex");
  const args = ["join", `--redis=${redis.url}`, "--link-port=0"];
  const env = { CHATRANDOM_LINK_SECRET: secret };
  const alone = await Appliance.start([EXECUTABLE], args, env);
  const several = await Appliance.start([EXECUTABLE], [...args, "--workers=2"], env);
  expect(several.workers).toHaveLength(2);
  const waiting = await alone.visitor();
  waiting.find();
  await waiting.next("waiting");
  const other = await several.visitor();
  other.find();
  const { pair } = await other.next("matched");
  await waiting.next("matched");
  await expectToReach({ id: pair, sides: [waiting, other] });

  const connection = connectRedis(redis.url);
  cleanUp.push(() => connection.close());
  await connection.check(5_000);
  const { nodes } = await readStatus({ redis: redis.url });
  const cards = await redisRegistry(connection, PREFIX).look(nodes.map(({ id }) => id));
  const workers = cards.filter(({ local }) => local !== undefined);
  expect([cards.length, workers.length]).toEqual([3, 2]);
  // Each worker is heard by its sibling over ipc, and over TCP by the node elsewhere alone.
  for (const { local, endpoint } of workers)
    expect([connectionsTo(local!), connectionsTo(endpoint)]).toEqual([1, 1]);
  expect(connectionsTo(cards.find(({ local }) => local === undefined)!.endpoint)).toBe(2);
});

test.each([1, 2])(
  "workers=%i: told to stop while it waits for a Redis that does not answer, it ends at once and exits 0",
  async (workers) => {
    const silent = createServer();
    await new Promise<void>((resolve) => void silent.listen(0, "127.0.0.1", resolve));
    cleanUp.push(() => silent.close());
    const sockets: Socket[] = [];
    silent.on("connection", (socket) => void sockets.push(socket.on("error", () => {})));
    cleanUp.push(() => sockets.forEach((socket) => socket.destroy()));
    const { port } = silent.address() as AddressInfo;
    const appliance = new Appliance(
      [EXECUTABLE],
      ["join", `--redis=redis://127.0.0.1:${port}`, "--link-port=0", `--workers=${workers}`],
      { CHATRANDOM_LINK_SECRET: randomBytes(32).toString("hex") },
    );
    cleanUp.push(() => appliance.child.kill("SIGKILL"));
    await until(() => sockets.length >= workers, 20);
    appliance.child.kill("SIGTERM");
    expect(await appliance.ended).toEqual([0, null]);
    expect(appliance.lines.filter(({ level }) => level !== "info")).toEqual([]);
    expect(appliance.processes.filter((pid) => !isGone(pid))).toEqual([]);
  },
);

test("what keeps a worker from starting is one line, and the exit code is its own", async () => {
  const refused = run(
    EXECUTABLE,
    ["join", "--redis=redis://127.0.0.1:1", "--workers=2", "--port=0", "--turn-port=0"],
    {
      env: {},
    },
  );
  await expect(refused).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/^chatrandom: join needs the cluster's link secret[^\n]*\n$/),
  });
});

test("a port that somebody listens on is not shared with him, and nothing is left running", async () => {
  const other = createServer();
  await new Promise<void>(
    (resolve) => void other.listen({ port: 0, host: "127.0.0.1", reusePort: true }, resolve),
  );
  cleanUp.push(() => other.close());
  const { port } = other.address() as AddressInfo;
  const args = [
    "serve",
    "--workers=2",
    `--port=${port}`,
    "--turn-port=0",
    "--host=127.0.0.1",
    `--data-dir=${folder}/data`,
  ];
  await expect(run(EXECUTABLE, args, { env: { CHATRANDOM_LOG_LEVEL: "warn" } })).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringMatching(new RegExp(`^chatrandom: Port ${port} is in use already[^\n]*\n$`)),
  });
  expect(existsSync(join(folder, "data/redis/redis.sock"))).toBe(false);
});

test("nobody starts a worker by hand", async () => {
  await expect(run(EXECUTABLE, ["worker"], { env: {} })).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringContaining("--workers"),
  });
  expect((await run(EXECUTABLE, ["--help"], { env: {} })).stdout).not.toContain("chatrandom worker");
});
