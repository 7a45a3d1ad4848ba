/** The relay inside the executable, as visitors' browsers and those who mean no good meet it. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { connect as connectTls } from "node:tls";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { IceServer } from "../protocol/messages.ts";
import { startTestRedis } from "../redis/test-server.ts";
import type { RefusalCause } from "../relay/counts.ts";
import { ALL_ARRIVED, ownAddress, relayMessages } from "../relay/test-relay.ts";
import { startTestTurn } from "../relay/test-server.ts";
import { TurnClient } from "../relay/test-turn.ts";
import { Neighbour } from "./neighbour.ts";
import { Visitor } from "./visitor.ts";
import { isGone } from "../test-processes.ts";
import { until } from "../test-until.ts";

const EXECUTABLE = fileURLToPath(new URL("../../dist/chatrandom", import.meta.url));
const host = ownAddress();

let folder: string;
let cleanUp: (() => Promise<unknown> | unknown)[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "chatrandom-relay-"));
  cleanUp = [() => rmSync(folder, { recursive: true, force: true })];
});
afterEach(async () => {
  for (const end of cleanUp.reverse()) await end();
});

const POLL = { timeout: 30_000, interval: 50 };
const refused = (cause: RefusalCause) => `chatrandom_relay_requests_refused_total{cause="${cause}"}`;

class Appliance {
  readonly child: ChildProcess;
  readonly dataDir: string;
  readonly lines: string[] = [];
  port = 0;
  readonly #host: string;

  private constructor(args: readonly string[], env: Record<string, string>, where?: Neighbour) {
    this.dataDir = join(folder, randomBytes(4).toString("hex"));
    this.#host = where?.address ?? host;
    const [program, ...first] = [...(where?.enter ?? []), EXECUTABLE];
    this.child = spawn(
      program!,
      [
        ...first,
        ...args,
        "--port=0",
        "--turn-port=0",
        `--data-dir=${this.dataDir}`,
        "--log-format=json",
        "--log-level=debug",
      ],
      {
        cwd: folder,
        // Nobody outside is asked anything.
        env: {
          PATH: process.env.PATH!,
          HOME: folder,
          CHATRANDOM_TURN_PUBLIC_ADDRESS_FROM: "",
          ...env,
        },
        stdio: ["ignore", "ignore", "pipe"],
      },
    );
    createInterface({ input: this.child.stderr! }).on("line", (line) => this.lines.push(line));
  }

  static async start(
    args = ["serve"],
    env: Record<string, string> = {},
    where?: Neighbour,
  ): Promise<Appliance> {
    const appliance = new Appliance(args, env, where);
    const { child } = appliance;
    const ended = once(child, "exit");
    cleanUp.push(async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
      await ended;
      await until(() => appliance.relays.every(isGone));
    });
    const ready = until(() => appliance.lines.find((line) => line.includes('"msg":"ready"')));
    await Promise.race([ready, ended]);
    if (child.exitCode !== null) throw new Error(`it ended:\n${appliance.lines.join("\n")}`);
    appliance.port = Number(new URL((JSON.parse((await ready)!) as { url: string }).url).port);
    return appliance;
  }

  /** The processes of coturn that run out of its data directory. */
  get relays(): number[] {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => {
        try {
          const [file] = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
          return file!.startsWith(`${this.dataDir}/programs/turnserver-`);
        } catch {
          return false;
        }
      });
  }

  /** What a visitor is offered who comes by our address and HTTPS. */
  async offered(): Promise<IceServer[]> {
    const visitor = await Visitor.connect(`wss://${this.#host}:${this.port}/ws`, {
      rejectUnauthorized: false,
    });
    const { iceServers } = await visitor.hello();
    visitor.socket.close();
    return iceServers;
  }

  /** Credentials, and the port of the relay, from what is offered. */
  async relay() {
    const { username, credential, urls } = (await this.offered()).find((server) => server.username)!;
    const port = Number(/^turn:.*:(\d+)\?/.exec([urls].flat()[0]!)![1]);
    return { port, credentials: { username: username!, credential: credential! } };
  }

  async get(path: string): Promise<{ status: number; text: string }> {
    const response = await fetch(`http://127.0.0.1:${this.port}${path}`);
    return { status: response.status, text: await response.text() };
  }

  async metric(line: string): Promise<number> {
    const { text } = await this.get("/metrics");
    return Number(
      text
        .split("\n")
        .find((each) => each.startsWith(`${line} `))
        ?.slice(line.length) ?? Number.NaN,
    );
  }
}

describe("the port of HTTPS", () => {
  test.each([
    ["with TLS", ["-t", "-S"]],
    ["without", ["-t"]],
  ])("carries calls, %s, nothing lost", async (_name, args) => {
    const appliance = await Appliance.start();
    const { credentials } = await appliance.relay();
    expect(await relayMessages({ host, port: appliance.port, credentials, args })).toContain(ALL_ARRIVED);
    expect(await appliance.metric("chatrandom_relay_streams_total")).toBeGreaterThan(3);
    await until(async () => (await appliance.metric("chatrandom_relay_streams")) === 0);
  });

  test("tells the relay whose the call is", async () => {
    const appliance = await Appliance.start();
    const client = await TurnClient.connect({ transport: "tls", host, port: appliance.port });
    const mapped = await client.mapped();
    expect(mapped.address).toBe(host);
    expect(mapped.port).not.toBe(appliance.port);
    expect(await appliance.metric("chatrandom_relay_streams")).toBe(1);
    client.close();
  });

  test("is offered to who came by it, with what works at once", async () => {
    const appliance = await Appliance.start();
    const [stun, turn] = await appliance.offered();
    expect(stun!.urls).toEqual([expect.stringMatching(`^stun:${host}:`)]);
    expect(turn!.urls).toContain(`turns:${host}:${appliance.port}?transport=tcp`);
    const { credentials } = await appliance.relay();
    const client = await TurnClient.connect({ transport: "tls", host, port: appliance.port, credentials });
    expect((await client.allocated()).address).toBe(host);
    // The node's own test of its relay has some for a moment.
    await expect.poll(() => appliance.metric("chatrandom_relay_allocations"), POLL).toBe(1);
    client.close();
  });

  test("drops garbage in TLS, silence and what is half of a message, and goes on", async () => {
    const appliance = await Appliance.start();
    const dropped = () => appliance.metric('chatrandom_connections_dropped_total{reason="unknown"}');
    const open = Array.from({ length: 50 }, (_, n) => {
      const socket =
        n % 2 === 0
          ? connectTls({ host, port: appliance.port, rejectUnauthorized: false })
          : connectTcp(appliance.port, host);
      socket.on("error", () => {});
      // 255 begins nothing that is known, 0 begins STUN.
      if (n % 3 === 0) socket.write(Buffer.concat([Buffer.from([255]), randomBytes(50)]));
      if (n % 3 === 1) socket.write(Buffer.from("000300", "hex"));
      if (n % 5 === 0) socket.end();
      return socket;
    });
    const { credentials, port } = await appliance.relay();
    const silent = Array.from({ length: 10 }, () => connectTcp(port, host).on("error", () => {}));
    await until(async () => (await dropped()) >= 10);
    // What began as STUN and did not go on is ended by coturn, within seconds.
    await until(async () => (await appliance.metric("chatrandom_relay_streams")) === 0);
    // Of the 17 that began, three ended by themselves. At its own port the relay ends those who say nothing at all.
    await expect.poll(() => appliance.metric(refused("idle")), POLL).toBe(14 + silent.length);
    for (const socket of [...open, ...silent]) socket.destroy();
    expect((await appliance.get("/readyz")).status).toBe(200);
    const client = await TurnClient.connect({ transport: "tls", host, port: appliance.port, credentials });
    expect((await client.allocate()).code).toBe(0);
    client.close();
  });
});

describe("the relay", () => {
  test("is started again when it is killed; the node stays ready and tells", async () => {
    const appliance = await Appliance.start();
    const details = async () =>
      (JSON.parse((await appliance.get("/readyz")).text) as { details: { relay: string } }).details.relay;
    expect(await details()).toBe("up");
    const [pid] = appliance.relays;
    process.kill(pid!, "SIGSTOP");
    await until(async () => (await details()) === "down");
    expect((await appliance.get("/readyz")).status).toBe(200);
    expect(await appliance.metric("chatrandom_relay_up")).toBe(0);
    process.kill(pid!, "SIGKILL");
    await until(async () => (await details()) === "up");
    expect(appliance.relays).not.toContain(pid);
    expect(await appliance.metric("chatrandom_relay_up")).toBe(1);
  });

  test("ends with the appliance, and when that is killed", async () => {
    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      const appliance = await Appliance.start();
      const relays = appliance.relays;
      expect(relays).toHaveLength(1);
      const ended = once(appliance.child, "exit");
      appliance.child.kill(signal);
      await ended;
      await until(() => relays.every(isGone));
    }
  });

  test("leaves its secret in no command line and no file, and credentials in no log", async () => {
    const appliance = await Appliance.start();
    const { credentials, port } = await appliance.relay();
    await relayMessages({ host, port, credentials });
    expect(
      readdirSync(join(appliance.dataDir, "programs")).filter((name) => name.startsWith("relay")),
    ).toEqual([]);
    const [pid] = appliance.relays;
    expect(readFileSync(`/proc/${pid}/cmdline`, "utf8")).not.toContain("secret");
    expect(appliance.lines.join("\n")).not.toContain(credentials.credential);
  });

  test("never relays to the machine, nor to an address that comes to it while it runs", async () => {
    const neighbour = new Neighbour();
    cleanUp.push(() => neighbour.remove());
    const [there, coming] = [neighbour.free(70), neighbour.free(77)];
    neighbour.add(there);
    const appliance = await Appliance.start(["serve"], {}, neighbour);
    const [pid] = appliance.relays;
    const { port, credentials } = await appliance.relay();
    const client = await TurnClient.connect({ transport: "tcp", host: neighbour.address, port, credentials });
    await client.allocated();
    const codes = async (address: string, channel: number) => [
      (await client.permit({ address, port: 80 })).code,
      (await client.bindChannel(channel, { address, port: 80 })).code,
    ];
    expect(await codes(there, 0x4000)).toEqual([403, 403]);
    expect(await codes(coming, 0x4001)).toEqual([0, 0]);
    neighbour.add(coming);
    // The channel that there is ends in its time: it cannot be renewed.
    await expect.poll(() => codes(coming, 0x4001), POLL).toEqual([403, 403]);
    // It has not begun anew for that: it is the same allocation.
    expect(appliance.relays).toEqual([pid]);
    client.close();
  });

  test("is one for all workers", async () => {
    const appliance = await Appliance.start(["serve", "--workers=2"]);
    expect(appliance.relays).toHaveLength(1);
    const { credentials } = await appliance.relay();
    // Often enough for both workers.
    for (let n = 0; n < 8; n += 1) {
      const client = await TurnClient.connect({ transport: "tls", host, port: appliance.port, credentials });
      expect((await client.allocate()).code).toBe(0);
      client.close();
    }
    await until(async () => (await appliance.metric("chatrandom_relay_streams_total")) === 8);
    expect(await appliance.metric("chatrandom_relay_up")).toBe(1);
    const last = await TurnClient.connect({ transport: "tls", host, port: appliance.port, credentials });
    await last.allocated();
    // The nodes' own tests of the relay have some for a moment.
    await expect.poll(() => appliance.metric("chatrandom_relay_allocations"), POLL).toBe(1);
    expect(await appliance.metric("chatrandom_relay_clients_refused_total")).toBe(0);
    last.close();
    const wrong = { ...credentials, credential: "guessed" };
    for (let n = 0; n < 3; n += 1) {
      const guesser = await TurnClient.connect({
        transport: "tls",
        host,
        port: appliance.port,
        credentials: wrong,
      });
      expect((await guesser.allocate()).code).toBe(401);
      guesser.close();
    }
    await expect.poll(() => appliance.metric(refused("credentials")), POLL).toBe(3);
  });

  test("is not started where the operator wants none", async () => {
    const appliance = await Appliance.start(["serve", "--turn-enabled=false"]);
    expect(appliance.relays).toEqual([]);
    expect(await appliance.offered()).toEqual([]);
    expect((await appliance.get("/readyz")).text).toContain('"relay":"none"');
  });
});

test("credentials are renewed before they run out, and the new ones are good", async () => {
  const appliance = await Appliance.start(["serve", "--turn-credential-lifetime=10s"]);
  const visitor = await Visitor.connect(`wss://${host}:${appliance.port}/ws`, { rejectUnauthorized: false });
  const endOf = (servers: IceServer[]): number =>
    Number.parseInt(servers.find(({ username }) => username)!.username!, 10) * 1_000;
  const first = endOf((await visitor.hello()).iceServers);
  // The first renewal may come at once: all visitors of a node take turns.
  let { iceServers } = await visitor.next("ice");
  while (endOf(iceServers) === first) ({ iceServers } = await visitor.next("ice"));
  expect(Date.now()).toBeLessThan(first);
  const { username, credential, urls } = iceServers.find((server) => server.username)!;
  const port = Number(/^turn:.*:(\d+)\?/.exec([urls].flat()[0]!)![1]);
  const credentials = { username: username!, credential: credential! };
  const client = await TurnClient.connect({ transport: "udp", host, port, credentials });
  expect((await client.allocate()).code).toBe(0);
  client.close();
  visitor.socket.close();
});

test("another coturn in its place takes the credentials that visitors get", async () => {
  const other = await startTestTurn();
  cleanUp.unshift(() => other.stop());
  const appliance = await Appliance.start(
    ["serve", `--turn-urls=turn:127.0.0.1:${other.port}?transport=udp`],
    { CHATRANDOM_TURN_SECRET: other.secret },
  );
  expect(appliance.relays).toEqual([]);
  const [server, ...more] = await appliance.offered();
  expect(more).toEqual([]);
  const credentials = { username: server!.username!, credential: server!.credential! };
  const client = await TurnClient.connect({
    transport: "udp",
    host: "127.0.0.1",
    port: other.port,
    credentials,
  });
  expect((await client.allocate()).code).toBe(0);
  client.close();
});

test("nodes of a cluster offer each other's relay, and it takes the same credentials", async () => {
  const redis = await startTestRedis();
  cleanUp.unshift(() => redis.stop());
  const env = { CHATRANDOM_LINK_SECRET: randomBytes(32).toString("hex") };
  const args = ["join", `--redis=${redis.url}`, "--link-port=0"];
  const [first, second] = [await Appliance.start(args, env), await Appliance.start(args, env)];
  const { port: secondsPort } = await second.relay();
  const offered = await until(async () => {
    const servers = await first.offered();
    return servers.length === 3 && servers;
  });
  const [, own, other] = offered as IceServer[];
  expect(own!.urls).not.toContain(`turn:${host}:${secondsPort}?transport=udp`);
  expect(other!.urls).toContain(`turn:${host}:${secondsPort}?transport=udp`);
  const credentials = { username: other!.username!, credential: other!.credential! };
  const client = await TurnClient.connect({ transport: "udp", host, port: secondsPort, credentials });
  expect((await client.allocate()).code).toBe(0);
  client.close();
});
