import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { connect, createServer, type AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { type Clock, realClock } from "../clock.ts";
import { noRefusals } from "./counts.ts";
import type { Credentials } from "./credentials.ts";
import { coturn } from "./embedded-relay.ts";
import { proxyHeader } from "./forward.ts";
import type { Finder, FinderParts } from "./public-address.ts";
import { isPublic } from "../address-ranges.ts";
import {
  ALL_ARRIVED,
  coturnBinary,
  openTestRelay,
  ownAddress,
  relayMessages,
  startRelay,
} from "./test-relay.ts";
import { type Answer, ATTRIBUTE, METHOD, TurnClient } from "./test-turn.ts";
import { hasIpv6Loopback } from "../test-ipv6.ts";
import { isGone } from "../test-processes.ts";
import { until } from "../test-until.ts";

const host = ownAddress();
const descriptorsOf = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;
/** Bytes of its own that a process holds. */
const memoryOf = (pid: number): number =>
  Number(/^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) * 1024;

describe("carries", () => {
  test.each([
    ["UDP", []],
    ["TCP", ["-t"]],
  ])("messages over %s, nothing lost", async (_name, args) => {
    const relay = await startRelay();
    const credentials = relay.credentials();
    expect(await relayMessages({ host, port: relay.port, credentials, args })).toContain(ALL_ARRIVED);
  });

  test("data between two who both have only a relayed address, and lets go of the ports", async () => {
    const relay = await startRelay();
    const [anna, bert] = await Promise.all(
      (["udp", "tcp"] as const).map((transport) =>
        TurnClient.connect({ transport, host, port: relay.port, credentials: relay.credentials() }),
      ),
    );
    const [annas, berts] = [await anna!.allocated(), await bert!.allocated()];
    expect([annas.address, berts.address]).toEqual([host, host]);
    expect((await relay.counts()).allocations).toBe(2);
    expect((await anna!.bindChannel(0x4000, berts)).code).toBe(0);
    expect((await bert!.bindChannel(0x4001, annas)).code).toBe(0);
    const heard = new Promise((resolve) => {
      bert!.onData = (channel, data) => resolve([channel, String(data)]);
    });
    anna!.send(0x4000, Buffer.from("hello"));
    expect(await heard).toEqual([0x4001, "hello"]);
    await anna!.release();
    anna!.close();
    bert!.close();
  });

  test("answers to STUN over IPv4 and IPv6, TCP and UDP", async () => {
    const relay = await startRelay();
    for (const address of ["127.0.0.1", ...(hasIpv6Loopback() ? ["::1"] : []), host]) {
      for (const transport of ["udp", "tcp"] as const) {
        const client = await TurnClient.connect({ transport, host: address, port: relay.port });
        expect((await client.mapped()).address).toBe(address);
        client.close();
      }
    }
  });

  test("the visitor's own address, told by the PROXY protocol, on loopback only", async () => {
    const relay = await startRelay();
    for (const from of [
      { address: "198.51.100.7", port: 4711 },
      { address: "2001:db8::7", port: 4712 },
    ]) {
      const client = await TurnClient.connect({ transport: "tcp", host: "127.0.0.1", port: relay.proxyPort });
      client.say(proxyHeader(from, { address: from.address, port: 443 }));
      expect(await client.mapped()).toEqual(from);
      client.close();
    }
    const refused = once(connect(relay.proxyPort, host), "connect");
    await expect(refused).rejects.toThrow("ECONNREFUSED");
  });
});

describe("refuses", () => {
  test("credentials that are missing, expired, forged, or for another user", async () => {
    const relay = await startRelay();
    const good = relay.credentials("anna");
    const bad = [
      undefined,
      relay.credentials("anna", -10),
      { ...good, credential: randomBytes(20).toString("base64") },
      { ...good, username: good.username.replace("anna", "bert") },
      { ...good, username: good.username.replace(/^\d+/, (seconds) => String(Number(seconds) + 3_600)) },
      { ...good, username: "anna" },
    ];
    for (const credentials of bad) {
      const client = await TurnClient.connect({ transport: "udp", host, port: relay.port, credentials });
      expect((await client.allocate()).code).toBe(401);
      client.close();
    }
  });

  test("a request of somebody else that is replayed", async () => {
    const relay = await startRelay();
    const options = { transport: "udp", host, port: relay.port } as const;
    const anna = await TurnClient.connect({ ...options, credentials: relay.credentials() });
    await anna.allocated();
    const eve = await TurnClient.connect(options);
    await eve.allocate();
    expect((await eve.raw(anna.lastSigned)).code).toBe(438);
    anna.close();
    eve.close();
  });

  test("peers that nobody may be relayed to", async () => {
    const relay = await startRelay({ CHATRANDOM_TURN_ALLOW_PRIVATE: "false" });
    const options = { transport: "udp", host, port: relay.port, credentials: relay.credentials() } as const;
    const client = await TurnClient.connect(options);
    await client.allocated();
    const peers =
      "0.0.0.1 10.1.2.3 100.64.0.1 127.0.0.1 127.9.9.9 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.8 192.0.2.77 " +
      "192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 240.0.0.1 255.255.255.255";
    for (const address of peers.split(" ")) {
      if (address === host) continue;
      expect([address, (await client.permit({ address, port: 80 })).code]).toEqual([address, 403]);
    }
    for (const address of ["8.8.8.8", "172.32.0.1", "100.128.0.1"])
      expect([address, (await client.permit({ address, port: 80 })).code]).toEqual([address, 0]);
    client.close();
  });

  test.runIf(hasIpv6())("peers of IPv6 that nobody may be relayed to", async () => {
    const relay = await startRelay({ CHATRANDOM_TURN_ALLOW_PRIVATE: "false" });
    const options = { transport: "udp", host, port: relay.port, credentials: relay.credentials() } as const;
    const client = await TurnClient.connect(options);
    await client.allocated(6);
    const peers =
      ":: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 64:ff9b::7f00:1 64:ff9b:1::1 100::1 2001:db8::1 2001::1 2002:7f00:1::1 " +
      "fc00::1 fdff::1 fe80::1 fec0::1 ff02::1";
    for (const address of peers.split(" ")) {
      const { code } = await client.permit({ address, port: 80 });
      // What is IPv4 inside IPv6 is for coturn no peer of this allocation.
      expect([address, code], address).toEqual([
        address,
        address.includes("ffff") ? expect.any(Number) : 403,
      ]);
      expect(code).not.toBe(0);
    }
    expect((await client.permit({ address: "2606:4700::1111", port: 80 })).code).toBe(0);
    client.close();
  });

  test("this machine, but for the ports of other calls", async () => {
    const relay = await startRelay({ CHATRANDOM_TURN_ALLOW_PRIVATE: "true" });
    const service = createSocket("udp4");
    let asked = 0;
    service.on("message", () => (asked += 1));
    // Below the range of the relay.
    const port = await bindBelow(service, 49_152);
    const options = { transport: "udp", host, port: relay.port, credentials: relay.credentials() } as const;
    const client = await TurnClient.connect(options);
    await client.allocated();
    expect((await client.bindChannel(0x4000, { address: host, port })).code).toBe(403);
    expect((await client.bindChannel(0x4001, { address: host, port: relay.port })).code).toBe(403);
    expect((await client.bindChannel(0x4002, { address: "127.0.0.1", port: 50_000 })).code).toBe(403);
    expect((await client.bindChannel(0x4003, { address: "192.168.77.7", port })).code).toBe(0);
    // A permission is for every port, and does not help either.
    expect((await client.permit({ address: host, port: 50_000 })).code).toBe(0);
    client.indicate({ address: host, port }, Buffer.from("knock"));
    // Answered after it.
    await client.permit({ address: host, port: 50_000 });
    expect(asked).toBe(0);
    client.close();
    service.close();
  });

  test("what is behind the NAT in front of it, but for the ports of other calls", async () => {
    const outside = "203.0.113.9";
    const relay = await startRelay({ CHATRANDOM_TURN_PUBLIC_ADDRESS: outside });
    const options = { transport: "udp", host, port: relay.port, credentials: relay.credentials() } as const;
    const client = await TurnClient.connect(options);
    const other = await TurnClient.connect(options);
    const [own, others] = [await client.allocated(), await other.allocated()];
    expect([own.address, others.address]).toEqual([outside, outside]);
    for (const port of [443, relay.port])
      expect((await client.bindChannel(0x4000, { address: outside, port })).code).toBe(403);
    expect((await client.bindChannel(0x4000, others)).code).toBe(0);
    expect((await other.bindChannel(0x4000, own)).code).toBe(0);
    const heard = new Promise((resolve) => {
      other.onData = (_, data) => resolve(String(data));
    });
    // No NAT is there to be asked.
    client.send(0x4000, Buffer.from("hello"));
    expect(await heard).toBe("hello");
    client.close();
    other.close();
  });

  test("nobody who is in two networks and presses Next twice", async () => {
    const relay = await startRelay();
    const options = { transport: "udp", host, port: relay.port, credentials: relay.credentials() } as const;
    /** What a browser takes for one call: in each network by IPv4 and IPv6, and in each way over UDP, TCP and TLS. */
    const call = async () => {
      const clients = await Promise.all(Array.from({ length: 12 }, () => TurnClient.connect(options)));
      const codes = await Promise.all(clients.map(async (client) => (await client.allocate()).code));
      expect(new Set(codes)).toEqual(new Set([0]));
      return clients;
    };
    // The next one is prepared while one goes on; what was let go counts for a second more.
    const calls = [await call(), await call()];
    for (let n = 0; n < 2; n += 1) {
      await Promise.all(calls[n]!.map((client) => client.release()));
      calls.push(await call());
    }
    // Not before: the system might give their ports to the next, which would have an allocation then.
    for (const client of calls.flat()) client.close();
  });

  test("more allocations than a session may have, and than all may, without end", async () => {
    const relay = await startRelay({
      CHATRANDOM_TURN_SESSION_ALLOCATIONS: "2",
      CHATRANDOM_TURN_MAX_ALLOCATIONS: "3",
    });
    const codes: number[] = [];
    for (const user of ["anna", "anna", "anna", "bert", "carl"]) {
      const credentials = relay.credentials(user, 3_600 + codes.length);
      const client = await TurnClient.connect({ transport: "udp", host, port: relay.port, credentials });
      codes.push((await client.allocate()).code);
      // Not before: the system might give its port to the next, which would have an allocation then.
      onTestFinished(client.close);
    }
    expect(codes).toEqual([0, 0, 486, 0, 486]);
  });
});

describe("limits", () => {
  /** How many of a thousand datagrams of 1,000 bytes, sent as fast as they are taken, come through the relay. */
  async function arrived(env: Record<string, string>): Promise<number> {
    const relay = await startRelay(env);
    const options = { host, port: relay.port, credentials: relay.credentials() } as const;
    const sender = await TurnClient.connect({ ...options, transport: "tcp" });
    const receiver = await TurnClient.connect({ ...options, transport: "tcp" });
    const [from, to] = [await sender.allocated(), await receiver.allocated()];
    await sender.bindChannel(0x4000, to);
    await receiver.bindChannel(0x4000, from);
    let count = 0;
    let isOver = false;
    receiver.onData = (_, data) => void (data.length === 1_000 ? (count += 1) : (isOver = true));
    for (let n = 0; n < 1_000; n += 1) {
      sender.send(0x4000, Buffer.alloc(1_000));
      if (n % 20 === 0) await sender.mapped();
    }
    // The next second lets something through again.
    await until(() => {
      sender.send(0x4000, Buffer.alloc(4));
      return isOver;
    });
    sender.close();
    receiver.close();
    return count;
  }

  test("the bytes a second of one allocation", async () => {
    expect(await arrived({ CHATRANDOM_TURN_BANDWIDTH: "8kb" })).toBeLessThan(500);
    // Between the two allocations it goes by UDP, and a busy machine loses some of what comes in one burst.
    expect(await arrived({ CHATRANDOM_TURN_BANDWIDTH: "100mb" })).toBeGreaterThan(500);
  });

  test("the bytes a second that are promised to all, and how long an allocation lives by itself", async () => {
    const relay = await startRelay({
      CHATRANDOM_TURN_BANDWIDTH: "8kb",
      CHATRANDOM_TURN_TOTAL_BANDWIDTH: "16kb",
      CHATRANDOM_TURN_ALLOCATION_LIFETIME: "2m",
    });
    const answers: Answer[] = [];
    for (const user of ["anna", "bert", "carl"]) {
      const credentials = relay.credentials(user);
      const client = await TurnClient.connect({ transport: "udp", host, port: relay.port, credentials });
      answers.push(await client.allocate());
      client.close();
    }
    expect(answers.map(({ code }) => code)).toEqual([0, 0, 486]);
    expect(answers[0]!.attributes.get(ATTRIBUTE.lifetime)!.readUInt32BE()).toBeLessThanOrEqual(120);
  });
});

describe("counts", () => {
  test("what it refuses, by its cause", async () => {
    const relay = await startRelay({
      CHATRANDOM_TURN_ALLOW_PRIVATE: "false",
      CHATRANDOM_TURN_SESSION_ALLOCATIONS: "1",
    });
    // Nothing is asked again over TCP.
    const options = { transport: "tcp", host, port: relay.port } as const;
    const connect = (credentials?: Credentials) => TurnClient.connect({ ...options, credentials });
    const good = relay.credentials("anna");
    const anna = await connect(good);
    const [stranger, expired, forger, second] = await Promise.all([
      connect(),
      connect(relay.credentials("bert", -10)),
      connect({ ...relay.credentials("carl"), credential: "guessed" }),
      connect(good),
    ]);
    const clients = [anna, stranger, expired, forger, second];
    const codes = async (...answers: Promise<Answer>[]) =>
      (await Promise.all(answers)).map(({ code }) => code);
    expect(await codes(anna.allocate())).toEqual([0]);
    const peer = { address: "10.1.2.3", port: 80 };
    // Who has no credentials is only told what to sign with.
    expect(await codes(stranger.allocate())).toEqual([401]);
    expect(await codes(expired.allocate(), forger.allocate())).toEqual([401, 401]);
    expect(await codes(stranger.raw(anna.lastSigned))).toEqual([438]);
    expect(await codes(anna.allocate())).toEqual([437]);
    expect(await codes(second.allocate())).toEqual([486]);
    expect(await codes(anna.permit(peer), anna.bindChannel(0x4000, peer))).toEqual([403, 403]);
    // Without a permission, at a port of ours, and by a channel that was never bound: all three are dropped.
    expect(await codes(anna.permit({ address: host, port: 1 }))).toEqual([0]);
    for (const to of [peer, { address: host, port: relay.port }]) anna.indicate(to, Buffer.from("x"));
    anna.send(0x4000, Buffer.from("x"));
    expect(await codes(anna.permit({ address: "2606:4700::1111", port: 80 }))).toEqual([443]);
    const unknown = 0x7777;
    expect(await codes(anna.ask(METHOD.permit, [[unknown, Buffer.alloc(4)]]))).toEqual([420]);
    expect(await codes(anna.ask(METHOD.permit))).toEqual([400]);
    // No STUN: a datagram, and streams, which end.
    const socket = createSocket("udp4");
    socket.send("GARBAGE", relay.port, host);
    for (const bytes of [
      "\x16\x03\x01 is how TLS begins",
      "\0\x03\0\x2c is STUN at first",
      "GET / HTTP/1.0\r\n\r\n",
    ]) {
      const talker = await connect();
      talker.say(Buffer.from(bytes, "latin1"));
      await talker.closed;
    }
    await expect
      .poll(async () => (await relay.counts()).refused, { timeout: 20_000, interval: 10 })
      .toEqual({
        ...noRefusals().refused,
        credentials: 2,
        stale_nonce: 1,
        mismatch: 1,
        quota: 1,
        forbidden_peer: 5,
        malformed: 6,
        other: 1,
      });
    socket.close();
    for (const client of clients) client.close();
  });

  test("everything, though it does not say everything", async () => {
    const relay = await startRelay();
    const client = await TurnClient.connect({
      transport: "tcp",
      host,
      port: relay.port,
      credentials: relay.credentials("anna", -10),
    });
    expect((await client.allocate()).code).toBe(401);
    const guesses = 5_000;
    client.say(Buffer.concat(Array.from({ length: guesses }, () => client.lastSigned)));
    await until(async () => (await relay.counts()).refused.credentials === guesses + 1);
    client.close();
    const said = relay.logged.flatMap(
      ({ what }) => /^\d+(?=: : ERROR)/.exec((what as { line?: string }).line ?? "") ?? [],
    );
    // Its watch knows whole seconds, and it looks twice for each line.
    const seconds = Number(said.at(-1)) - Number(said[0]) + 2;
    expect(said.length).toBeGreaterThan(0);
    expect(said.length).toBeLessThanOrEqual(1_000 * seconds);
  });

  test("only what it says itself, whatever is in the words of others", async () => {
    const relay = await startRelay();
    const options = { transport: "tcp", host, port: relay.port } as const;
    const line = "1: : clients turned away: 77";
    const origin = 0x802f;
    for (const end of ["\n", "\r", "\u2028"]) {
      const words = `x${end}${line}${end}`;
      const client = await TurnClient.connect({
        ...options,
        credentials: { username: words, credential: "" },
      });
      // It says of both that they are wrong. What is too long it cuts off, and the end of the line with it.
      expect((await client.ask(METHOD.allocate, [[origin, Buffer.from(words)]])).code).toBe(400);
      client.close();
      const other = await TurnClient.connect(options);
      await other.ask(METHOD.allocate, [[origin, Buffer.alloc(1_200, "x")]]);
      other.close();
    }
    // What it has counted comes after all that.
    await until(async () => (await relay.counts()).refused.malformed === 3);
    expect((await relay.counts()).turnedAway).toBe(0);
  });
});

describe("stays", () => {
  test("what it is under 10,000 requests for an allocation from one address, and serves another one", async () => {
    const relay = await startRelay();
    const pid = relay.pid()!;
    const request = Buffer.from(
      "000300082112a442000000000000000000000000001900041100".padEnd(56, "0"),
      "hex",
    );
    const flood = async (count: number) => {
      for (let done = 0; done < count; done += 100) {
        const sockets = Array.from({ length: 100 }, () => createSocket("udp4"));
        await Promise.all(
          sockets.map(
            (socket) => new Promise((resolve) => void socket.send(request, relay.port, host, resolve)),
          ),
        );
        for (const socket of sockets) socket.close();
      }
    };
    await flood(2_000);
    const before = memoryOf(pid);
    await flood(10_000);
    expect(memoryOf(pid) - before).toBeLessThan(48 * 1024 ** 2);
    expect(relay.pid()).toBe(pid);
    const other = await TurnClient.connect({
      transport: "udp",
      host: "127.0.0.1",
      port: relay.port,
      credentials: relay.credentials(),
    });
    expect((await other.allocate()).code).toBe(0);
    other.close();
    // It says so every few seconds.
    await until(async () => (await relay.counts()).turnedAway > 1_000);
    expect((await relay.counts()).turnedAway).toBeLessThan(12_000);
  });

  test("closed to what is no STUN, from however many ports it comes", async () => {
    const relay = await startRelay();
    const visitor = await TurnClient.connect({ transport: "udp", host, port: relay.port });
    const ports = 2_000;
    for (let done = 0; done < ports; done += 50) {
      const sockets = Array.from({ length: 50 }, () => createSocket("udp4"));
      await Promise.all(
        sockets.map((socket) => new Promise((sent) => void socket.send("no STUN", relay.port, host, sent))),
      );
      // So that none is lost on the way.
      await visitor.mapped();
      for (const socket of sockets) socket.close();
    }
    visitor.close();
    await until(async () => (await relay.counts()).refused.malformed === ports);
    expect((await relay.counts()).turnedAway).toBe(0);
  });

  test("what it is under random datagrams, replays, guesses and silence, and counts them", async () => {
    const relay = await startRelay({
      CHATRANDOM_TURN_ALLOW_PRIVATE: "false",
      CHATRANDOM_TURN_SESSION_ALLOCATIONS: "1",
    });
    const pid = relay.pid()!;
    const options = { transport: "tcp", host, port: relay.port } as const;
    const connectAs = (credentials?: Credentials) => TurnClient.connect({ ...options, credentials });
    const credentials = relay.credentials();
    const anna = await connectAs(credentials);
    await anna.allocated();
    const descriptors = descriptorsOf(pid);
    const silent = Array.from({ length: 60 }, (_, n) => {
      const stream = connect(n % 2 === 0 ? relay.port : relay.proxyPort, "127.0.0.1");
      stream.on("error", () => {});
      // Nothing, or half of a header: of STUN, or of what a proxy says first.
      if (n % 3 === 0) stream.write(n % 2 === 0 ? Buffer.from("0003002c2112", "hex") : "\r\n\r\n\0");
      return stream;
    });
    const scanner = await scan(relay.port);
    const expected = noRefusals().refused;

    const storm = async () => {
      await scanner.send(1_000);
      const expired = await connectAs(relay.credentials("bert", -10));
      const [eve, another] = [await connectAs(), await connectAs(credentials)];
      for (let n = 0; n < 50; n += 1) {
        expect((await eve.raw(anna.lastSigned)).code).toBe(438);
        // Signed at once but for the first time.
        expect((await (n === 0 ? expired.allocate() : expired.raw(expired.lastSigned))).code).toBe(401);
        expect((await anna.permit({ address: "10.1.2.3", port: n })).code).toBe(403);
        expect((await another.allocate()).code).toBe(486);
      }
      for (const cause of ["stale_nonce", "credentials", "forbidden_peer", "quota"] as const)
        expected[cause] += 50;
      for (const client of [expired, eve, another]) client.close();
      await Promise.all(
        Array.from({ length: 20 }, async () => {
          const stream = await connectAs();
          stream.say(Buffer.concat([Buffer.from("16030100ff", "hex"), randomBytes(500)]));
          await stream.closed;
        }),
      );
      expected.malformed += 20;
    };
    await storm();
    const memory = memoryOf(pid);
    for (let n = 0; n < 4; n += 1) await storm();
    expect(memoryOf(pid) - memory).toBeLessThan(4 * 1024 ** 2);
    // What a datagram could be taken for is for chance to say, and on a busy machine some are silent for too long.
    const sure = (counts: typeof expected) => ({
      ...counts,
      malformed: counts.malformed + counts.mismatch,
      mismatch: 0,
      idle: 0,
    });
    expected.malformed += scanner.refused();
    await expect
      .poll(async () => sure((await relay.counts()).refused), { timeout: 20_000, interval: 10 })
      .toEqual(sure(expected));
    for (const stream of silent) stream.destroy();
    await until(() => descriptorsOf(pid) <= descriptors);
    expect(relay.pid()).toBe(pid);
    scanner.close();
    anna.close();
  });
});

/** Who sends random datagrams to a port. None is lost on the way: before there are too many, something sent after them is answered. */
async function scan(port: number) {
  const socket = createSocket("udp4");
  socket.connect(port, host);
  await once(socket, "connect");
  let refused = 0;
  let arrived = (): void => {};
  socket.on("message", (answer) => {
    const isSuccess = answer.readUInt16BE(0) === 0x0101;
    // One that was a request for an allocation by chance is asked to sign.
    const isChallenge = answer.readUInt16BE(20) === ATTRIBUTE.error && answer.readUInt16BE(26) === 0x0401;
    if (isSuccess) arrived();
    else if (isChallenge) refused -= 1;
  });
  const binding = Buffer.concat([Buffer.from("000100002112a442", "hex"), Buffer.alloc(12)]);
  const looksLikeStun = Buffer.from("0003002c2112a442", "hex");
  return {
    /** How many were refused. */
    refused: () => refused,
    async send(count: number): Promise<void> {
      for (let n = 1; n <= count; n += 1) {
        const bytes = randomBytes(1 + (n % 600));
        if (n % 2 === 0 && bytes.length > 8) looksLikeStun.copy(bytes);
        socket.send(bytes);
        refused += 1;
        if (n % 20 > 0) continue;
        const all = new Promise<void>((resolve) => (arrived = resolve));
        socket.send(binding);
        await all;
      }
    },
    close: () => socket.close(),
  };
}

describe("behind a proxy that is trusted", () => {
  const warned = async (proxies: string, env: Record<string, string> = {}) => {
    const { logged, shared } = await openTestRelay({ CHATRANDOM_HTTP_TRUSTED_PROXIES: proxies, ...env });
    const lines = logged.filter(({ level }) => level === "warn").map(({ message }) => message);
    return { lines, reach: shared().reach };
  };

  test.skipIf(isPublic(host))("elsewhere it warns that nobody may find it at the name of that", async () => {
    for (const proxies of ["10.0.0.9", "loopback,10.0.0.0/8", "uniquelocal"])
      expect(await warned(proxies)).toEqual({
        reach: "private",
        lines: [expect.stringMatching(/proxy's name.*turn\.public_address.*turn\.urls/)],
      });
  });

  test("on this machine, or where it has a public address, there is nothing to warn of", async () => {
    for (const proxies of ["", "loopback", "127.0.0.0/8,::1"])
      expect((await warned(proxies)).lines).toEqual([]);
    const known = await warned("10.0.0.9", { CHATRANDOM_TURN_PUBLIC_ADDRESS: "9.9.9.9" });
    expect(known).toEqual({ reach: "public", lines: [] });
  });
});

describe("the process", () => {
  test("has its secret in no argument, no file that stays and no line of the log", async () => {
    const relay = await startRelay({ CHATRANDOM_LOG_LEVEL: "trace" });
    const { username, credential } = relay.credentials();
    await relayMessages({ host, port: relay.port, credentials: { username, credential } });
    const { secret } = relay.shared();
    for (const file of ["cmdline", "environ"])
      expect(readFileSync(`/proc/${relay.pid()}/${file}`, "utf8")).not.toContain(secret);
    const folder = join(relay.dataDir, "programs");
    expect(statSync(folder).mode & 0o077).toBe(0);
    expect(readdirSync(folder)).toEqual([expect.stringMatching(/^turnserver-[0-9a-f]{16}$/)]);
    expect(JSON.stringify(relay.logged)).not.toContain(secret);
    expect(JSON.stringify(relay.logged)).not.toContain(credential);
  });

  test("leaves no file of one that was killed while it started", async () => {
    const relay = await startRelay();
    const pid = relay.pid()!;
    const left = (name: string, ageMs: number) => {
      const file = join(relay.dataDir, "programs", name);
      writeFileSync(file, "static-auth-secret=x", { mode: 0o600 });
      const then = (Date.now() - ageMs) / 1_000;
      utimesSync(file, then, then);
      return file;
    };
    const old = left("relay-1-0badcafe.conf", 120_000);
    // Perhaps of another one that starts now.
    const fresh = left("relay-1-deadbeef.conf", 0);
    process.kill(pid, "SIGKILL");
    await until(() => relay.state() === "up" && relay.pid() !== pid);
    expect([existsSync(old), existsSync(fresh)]).toEqual([false, true]);
  });

  test("is started again when it is killed, with the same ports and secret", async () => {
    const relay = await startRelay();
    const pid = relay.pid()!;
    process.kill(pid, "SIGKILL");
    await until(() => relay.state() === "up" && relay.pid() !== pid);
    const client = await TurnClient.connect({
      transport: "udp",
      host,
      port: relay.port,
      credentials: relay.credentials(),
    });
    expect((await client.allocate()).code).toBe(0);
    client.close();
    expect(relay.logged.filter(({ level }) => level === "warn")).toHaveLength(1);
  });

  test("says in the log whom it refused, without the address", async () => {
    const relay = await startRelay({ CHATRANDOM_TURN_ALLOW_PRIVATE: "false" });
    const options = { transport: "udp", host, port: relay.port, credentials: relay.credentials() } as const;
    const client = await TurnClient.connect(options);
    await client.allocated();
    await client.permit({ address: "10.77.66.55", port: 80 });
    client.close();
    await until(() => JSON.stringify(relay.logged).includes("denied in the range"));
    expect(JSON.stringify(relay.logged)).not.toContain("10.77.66.55");
  });

  test("ends with the one that started it, however that ends", async () => {
    const source = `
      import { readFileSync } from "node:fs";
      const [relayUrl, loadUrl, dataDir, binary] = process.argv.slice(1);
      const { openRelay, coturn } = await import(relayUrl);
      const { loadConfig } = await import(loadUrl);
      const env = { CHATRANDOM_TURN_PORT: "0", CHATRANDOM_TURN_PUBLIC_ADDRESS_FROM: "" };
      const { config } = loadConfig({ env: { ...env, CHATRANDOM_DATA_DIR: dataDir } });
      const log = { debug() {}, info() {}, warn() {}, error() {} };
      const program = { ...coturn, content: () => readFileSync(binary) };
      const relay = await openRelay({ config, secret: "x", log, program });
      await relay.start();
      console.log(relay.pid());`;
    const { dataDir } = await startRelay();
    const url = (name: string) => new URL(name, import.meta.url).href;
    const args = [url("embedded-relay.ts"), url("../config/load.ts"), dataDir, coturnBinary()];
    const parent = spawn(process.execPath, ["--input-type=module", "-e", source, ...args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = (await once(parent.stdout, "data")) as [Buffer];
    const pid = Number(line);
    expect(isGone(pid)).toBe(false);
    parent.kill("SIGKILL");
    await until(() => isGone(pid));
  });

  describe("when the addresses of the machine change", () => {
    /** It can be listened on. */
    const NETWORK: ReturnType<typeof networkInterfaces> = { other: [{ address: "127.7.7.7" } as never] };
    const all = networkInterfaces();

    /** One whose machine has these interfaces, until it `has` others and `look` has it see that. */
    async function moving(interfaces: typeof all) {
      let look = (): void => {};
      const every: Clock["every"] = (ms, what) => {
        if (ms !== 10_000) return realClock.every(ms, what);
        look = what;
        return () => {};
      };
      const clock: Clock = { ...realClock, every };
      let finding: FinderParts | undefined;
      const askIn = vi.fn<Finder["askIn"]>();
      const find = (parts: FinderParts): Finder => {
        finding = parts;
        return { askIn, stop() {} };
      };
      const relay = await startRelay(
        { CHATRANDOM_TURN_PUBLIC_ADDRESS_FROM: "stun:stun.example" },
        { machine: async () => ({ interfaces, outward: [] }), clock, find },
      );
      const moves: string[] = [];
      relay.onMove(() => moves.push(relay.shared().hosts[0]!));
      return {
        relay,
        moves,
        finding: finding!,
        askIn,
        look: () => look(),
        has: (now: typeof all) => void (interfaces = now),
        client: () =>
          TurnClient.connect({ transport: "tcp", host, port: relay.port, credentials: relay.credentials() }),
        beganAnew: (before: number | undefined) =>
          until(() => relay.state() === "up" && relay.pid() !== before),
      };
    }

    test("begins anew", async () => {
      const { relay, moves, look, has, client, beganAnew } = await moving({ lo: all.lo });
      expect(relay.shared().reach).toBe("this machine");
      const pid = relay.pid();
      has(all);
      look();
      await beganAnew(pid);
      expect(relay.shared().hosts).toContain(host);
      expect(moves).toEqual([host]);
      const visitor = await client();
      expect((await visitor.mapped()).address).toBe(host);
      visitor.close();
    });

    test("carries its calls on where they do not need the change, and then begins anew", async () => {
      const { relay, moves, look, has, client, beganAnew } = await moving(all);
      const pid = relay.pid();
      const visitor = await client();
      await visitor.allocated();
      has({ ...all, ...NETWORK });
      look();
      await until(() => JSON.stringify(relay.logged).includes("when no call goes by it"));
      expect(moves).toEqual([]);
      visitor.close();
      await until(async () => (await relay.counts()).allocations === 0);
      expect(relay.pid()).toBe(pid);
      look();
      await beganAnew(pid);
    });

    test("begins anew at once where its calls have lost their address", async () => {
      const { relay, moves, look, has, client, beganAnew } = await moving(all);
      const pid = relay.pid();
      const visitor = await client();
      await visitor.allocated();
      has({ lo: all.lo });
      look();
      await beganAnew(pid);
      expect(moves).toEqual(["127.0.0.1"]);
      visitor.close();
    });

    test("looks for its public address once it runs, and again soon", async () => {
      const { relay, finding, askIn, look, has, beganAnew } = await moving(all);
      expect(finding.servers).toEqual(["stun:stun.example"]);
      expect(askIn.mock.calls).toEqual([[0]]);
      const { port, secret } = relay.shared();
      const relayed = expect.arrayContaining([host]) as string[];
      expect(finding.relay()).toMatchObject({ inside: host, relayed, port, secret });
      const pid = relay.pid();
      has({ ...all, ...NETWORK });
      look();
      await beganAnew(pid);
      expect(askIn.mock.calls).toEqual([[0], [5_000]]);
      has({ lo: all.lo });
      look();
      await until(() => relay.shared().reach === "this machine");
      expect(finding.relay()).toBeUndefined();
    });

    test("takes a public address that is found for it, when no call goes by it, and leaves it with its network", async () => {
      const { relay, moves, finding, askIn, look, has, client, beganAnew } = await moving(all);
      const pid = relay.pid();
      const visitor = await client();
      await visitor.allocated();
      finding.found({ outside: "8.8.4.4", inside: host });
      await until(() => JSON.stringify(relay.logged).includes("when no call goes by it"));
      expect(relay.pid()).toBe(pid);
      visitor.close();
      await until(async () => (await relay.counts()).allocations === 0);
      look();
      await beganAnew(pid);
      expect(moves).toEqual(["8.8.4.4"]);
      const nat = { outside: "8.8.4.4", inside: host };
      expect(relay.shared()).toMatchObject({ hosts: ["8.8.4.4"], reach: "public", nat });
      const relayed = expect.arrayContaining(["8.8.4.4"]) as string[];
      expect(finding.relay()).toMatchObject({ ...nat, relayed });
      const other = await client();
      expect((await other.allocated()).address).toBe("8.8.4.4");
      other.close();
      await until(async () => (await relay.counts()).allocations === 0);
      // Nobody is asked anew for that.
      expect(askIn.mock.calls).toEqual([[0]]);
      for (const interfaces of [{ lo: all.lo }, all]) {
        const before = relay.pid();
        has(interfaces);
        look();
        await beganAnew(before);
      }
      expect(moves.slice(1)).toEqual(["127.0.0.1", host]);
    });
  });

  test("a port that is taken is told with the option to change", async () => {
    const taken = createServer().listen(0, "0.0.0.0");
    await once(taken, "listening");
    const { port } = taken.address() as AddressInfo;
    await expect(startRelay({ CHATRANDOM_TURN_PORT: String(port) })).rejects.toThrow(
      `Port ${port} for the relay is in use already. Stop what uses it, choose another with --turn-port`,
    );
    taken.close();
    await expect(startRelay({ CHATRANDOM_TURN_HOST: "8.8.4.4" })).rejects.toThrow("--turn-host");
  });
});

test("does not say that everybody reaches it by a private address", async () => {
  for (const [address, words] of [
    ["10.1.2.3", "in the private network"],
    ["203.0.113.9", "from everywhere"],
  ] as const) {
    const { logged } = await openTestRelay({ CHATRANDOM_TURN_PUBLIC_ADDRESS: address });
    expect(logged.map(({ message }) => message)).toEqual([expect.stringContaining(words)]);
  }
});

test.each([
  ["HOST", "192.0.2.99", "--host"],
  ["TURN_HOST", "192.0.2.99", "--turn-host"],
  ["HOST", "nobody.invalid", "--host"],
  ["TURN_HOST", "nobody.invalid", "--turn-host"],
])(
  "an address in %s that is none of this machine, %s, is told with the option %s",
  async (key, address, option) => {
    await expect(openTestRelay({ [`CHATRANDOM_${key}`]: address })).rejects.toThrow(
      `${address} is no address of this machine. Choose another with ${option}.`,
    );
  },
);

describe("does not wait for a port", () => {
  test("that somebody has taken for TCP meanwhile, and says so", async () => {
    const relay = await openTestRelay();
    const taken = createServer().listen(relay.port, host);
    await once(taken, "listening");
    await expect(relay.start()).rejects.toThrow(`Port ${relay.port} for the relay is in use already.`);
    taken.close();
    expect(filesOf(relay.dataDir)).toEqual([]);
  });

  test("that somebody has taken for UDP meanwhile, and says so", async () => {
    const relay = await openTestRelay();
    const taken = createSocket("udp4");
    taken.bind(relay.port, host);
    await once(taken, "listening");
    await expect(relay.start()).rejects.toThrow(`Port ${relay.port} for the relay is in use already.`);
    taken.close();
  });
});

test("ends at once when it is not wanted any more while it starts; its file is for nobody else, and does not stay", async () => {
  const stopping = new AbortController();
  // One that never answers.
  const program = { ...coturn, content: () => Buffer.from('#!/bin/sh\n[ "$1" != -c ] || exec sleep 1000\n') };
  const relay = await openTestRelay({}, { program, stopping: stopping.signal });
  const started = relay.start();
  await until(() => filesOf(relay.dataDir).length === 1);
  const { mode } = statSync(join(relay.dataDir, "programs", filesOf(relay.dataDir)[0]!));
  stopping.abort();
  await expect(started).rejects.toThrow("stopped");
  // It has the secret in it, and in a cluster that is the same for all nodes.
  expect(mode & 0o777).toBe(0o600);
  expect(filesOf(relay.dataDir)).toEqual([]);
});

const filesOf = (dataDir: string): string[] =>
  readdirSync(join(dataDir, "programs")).filter((name) => name.startsWith("relay-"));

test("where only this machine reaches it, it relays on loopback and nowhere else", async () => {
  const relay = await startRelay({ CHATRANDOM_HOST: "127.0.0.1" });
  expect(relay.shared()).toMatchObject({ hosts: ["127.0.0.1"], reach: "this machine" });
  // No port that the system may give to a connection between the choice and the listening.
  for (const port of [relay.port, relay.shared().proxyPort]) expect(port).toBeLessThan(32_768);
  const credentials = relay.credentials();
  expect(await relayMessages({ host: "127.0.0.1", port: relay.port, credentials })).toContain(ALL_ARRIVED);
  await expect(once(connect(relay.port, host), "connect")).rejects.toThrow("ECONNREFUSED");
});

test("where only this machine reaches it, it relays to other calls and to nothing else of the machine", async () => {
  const relay = await startRelay({ CHATRANDOM_HOST: "127.0.0.1" });
  const options = { transport: "tcp", host: "127.0.0.1", port: relay.port } as const;
  const client = await TurnClient.connect({ ...options, credentials: relay.credentials() });
  const own = await client.allocated();
  for (const address of ["127.0.0.53", "127.0.0.2", "::1", host]) {
    expect([address, (await client.permit({ address, port: 53 })).code]).toEqual([
      address,
      address === "::1" ? 443 : 403,
    ]);
  }
  expect((await client.bindChannel(0x4000, { ...own, port: relay.port })).code).toBe(403);
  expect((await client.bindChannel(0x4000, own)).code).toBe(0);
  client.close();
});

test.runIf(hasIpv6Loopback())(
  "where there is no address of IPv4 it relays at one of IPv6, also to who does not ask for that",
  async () => {
    const relay = await startRelay({ CHATRANDOM_HOST: "::1" });
    const options = {
      transport: "udp",
      host: "::1",
      port: relay.port,
      credentials: relay.credentials(),
    } as const;
    const client = await TurnClient.connect(options);
    expect((await client.allocated()).address).toBe("::1");
    client.close();
  },
);

function hasIpv6(): boolean {
  return Object.values(networkInterfaces()).some((all) =>
    all?.some(
      ({ family, internal, address }) => family === "IPv6" && !internal && !address.startsWith("fe80"),
    ),
  );
}

/** A free port below, which systems do give. */
async function bindBelow(socket: ReturnType<typeof createSocket>, limit: number): Promise<number> {
  for (let port = limit - 1; ; port -= 1) {
    try {
      socket.bind(port, host);
      await once(socket, "listening");
      return port;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    }
  }
}
