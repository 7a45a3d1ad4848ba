import { randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { Failure } from "../failure.ts";
import { listenEndpoint } from "./endpoint.ts";
import { linkKeys } from "./keys.ts";
import type { Envelope } from "./link.ts";
import {
  SECRET,
  introduce,
  openCluster,
  openLink,
  ownDirectory,
  ready,
  signal,
  wireTo,
  type TestNode,
} from "./test-links.ts";
import { hasIpv6Loopback } from "../test-ipv6.ts";
import { eventually } from "../test-until.ts";

const texts = (count: number, prefix = ""): string[] =>
  Array.from({ length: count }, (_, i) => `${prefix}${i}`);

describe("the handshake", () => {
  test("a node is not ready before it was told who there is, and is when it is alone", async () => {
    const { link } = await openLink("n1");
    expect(link.isReady()).toBe(false);
    expect(link.silentPeers()).toHaveLength(1);
    link.setPeers([link.self]);
    expect(link.isReady()).toBe(true);
    expect(link.silentPeers()).toEqual([]);
    expect(link.peers()).toEqual([]);
  });

  test("nodes are ready when all of them have heard each other", async () => {
    const cluster = await Promise.all(["n1", "n2", "n3"].map((node) => openLink(node)));
    introduce(...cluster);
    for (const { link } of cluster) {
      expect(link.isReady()).toBe(false);
      expect(link.silentPeers()).toHaveLength(2);
    }
    expect(cluster[0]!.link.send("n2", signal("too early"))).toBe(false);
    await ready(...cluster);
    for (const { link, heard } of cluster) {
      expect(link.silentPeers()).toEqual([]);
      expect(link.peers().map(({ state, why }) => ({ state, why }))).toEqual([
        { state: "up", why: "" },
        { state: "up", why: "" },
      ]);
      expect(heard.peers).toHaveLength(2);
    }
  });

  test("one side is not enough", async () => {
    const one = await openLink("n1");
    const other = await openLink("n2");
    one.link.setPeers([one.link.self, other.link.self]);
    await other.heard.until(() => other.heard.peers.includes("n1 new")); // N2 knows that N1 listens
    expect(one.link.isReady()).toBe(false);
    expect(one.link.send("n2", signal("x"))).toBe(false);
    other.link.setPeers([one.link.self, other.link.self]);
    await ready(one, other);
    expect(one.link.send("n2", signal("x"))).toBe(true);
  });

  test("the first message after ready is never lost, in either direction and under load", async () => {
    const count = 3_000;
    const cluster = await Promise.all([openLink("n1"), openLink("n2"), openLink("n3")]);
    introduce(...cluster);
    await Promise.all(
      cluster.map(async ({ link, heard }) => {
        await heard.until(() => link.isReady());
        const { node } = link.self;
        for (const text of texts(count, `${node} `)) {
          for (const { link: to } of cluster) {
            if (to !== link) expect(link.send(to.self.node, signal(text))).toBe(true);
          }
          if (text.endsWith("00")) await new Promise((resolve) => setImmediate(resolve));
        }
      }),
    );
    for (const { link, heard } of cluster) {
      await heard.until(() => heard.envelopes.length === 2 * count);
      for (const { link: from } of cluster) {
        if (from === link) continue;
        const { node } = from.self;
        expect(heard.signals.filter((text) => text.startsWith(node))).toEqual(texts(count, `${node} `));
      }
      expect(heard.losses).toEqual([]);
      expect(link.counts).toMatchObject({ sent: 2 * count, received: 2 * count, refused: 0, lost: 0 });
    }
  });

  test("the right node gets it, and it is told by whom it was sent", async () => {
    const [one, two, three] = await openCluster("n1", "n2", "n3");
    one!.link.send("n2", signal("for n2"));
    one!.link.send("n3", signal("for n3"));
    await two!.heard.until(() => two!.heard.envelopes.length > 0);
    await three!.heard.until(() => three!.heard.envelopes.length > 0);
    expect(two!.heard.envelopes).toEqual([{ from: "n1", envelope: signal("for n2") }]);
    expect(three!.heard.envelopes).toEqual([{ from: "n1", envelope: signal("for n3") }]);
    expect(one!.link.send("n1", signal("to itself"))).toBe(false);
    expect(one!.link.send("n4", signal("to nobody"))).toBe(false);
  });

  test("an id may be the beginning of another", async () => {
    const [one, two, three] = await openCluster("n", "n1", "n11");
    one!.link.send("n1", signal("a"));
    three!.link.send("n", signal("b"));
    await two!.heard.until(() => two!.heard.envelopes.length > 0);
    await one!.heard.until(() => one!.heard.envelopes.length > 0);
    expect(two!.heard.signals).toEqual(["a"]);
    expect(three!.heard.signals).toEqual([]);
  });

  test("all kinds of envelopes arrive as they were sent, and to all", async () => {
    const [one, two, three] = await openCluster("n1", "n2", "n3");
    const envelopes: Envelope[] = [
      { kind: "takeover", session: "s", epoch: 3 },
      { kind: "held", session: "s", epoch: 3, pair: "p", frames: [Buffer.from("{}"), Buffer.alloc(0)] },
      {
        kind: "note",
        to: "t",
        from: "f",
        note: {
          type: "matched",
          pair: "p",
          mode: "video",
          role: "answerer",
          epoch: 3,
          common: { interests: ["Füße", "👣"], language: "de" },
          offer: "v=0\r\n".repeat(6_000),
        },
      },
      { kind: "note", to: "t", from: "f", note: { type: "ended", pair: "p", reason: "lost" } },
    ];
    for (const envelope of envelopes) expect(one!.link.broadcast(envelope)).toBe(true);
    for (const { heard } of [two!, three!]) {
      await heard.until(() => heard.envelopes.length === envelopes.length);
      expect(heard.envelopes).toEqual(envelopes.map((envelope) => ({ from: "n1", envelope })));
    }
    expect(one!.heard.envelopes).toEqual([]);
  });

  test("what is sent in one turn travels as one message", async () => {
    const one = await openLink("n1");
    const two = await openLink("n2");
    const wire = await wireTo(one.link.self);
    one.link.setPeers([two.link.self]);
    two.link.setPeers([wire.peer]);
    await ready(one, two);
    const overhead = async (count: number): Promise<number> => {
      const before = Buffer.concat(wire.tapped).length;
      const from = two.heard.envelopes.length;
      for (let i = 0; i < count; i++) one.link.send("n2", signal("x".repeat(100)));
      await two.heard.until(() => two.heard.envelopes.length === from + count);
      return Buffer.concat(wire.tapped).length - before - count * (100 + 4 + 1 + 6 + 8 + 8 + 4);
    };
    // Each message of its own would cost its frame and its encryption: 70 bytes. Beats may come in between.
    expect(await overhead(100)).toBeLessThan(100 * 50);
  });
});

describe("endpoints", () => {
  test.runIf(hasIpv6Loopback())("who listens on every address is reached by IPv4 and by IPv6", async () => {
    const everywhere = { listen: listenEndpoint("::", 0) };
    const one = await openLink("n1", { ...everywhere, host: "127.0.0.1" });
    const two = await openLink("n2", { ...everywhere, host: "::1" });
    introduce(one, two);
    await ready(one, two);
  });

  test.runIf(hasIpv6Loopback())(
    "IPv6, and a name that is another than the address to listen on",
    async () => {
      const one = await openLink("n1", { listen: "tcp://[::1]:0" });
      const two = await openLink("n2", { listen: "tcp://*:0", host: "localhost" });
      expect(one.link.self.endpoint).toMatch(/^tcp:\/\/\[::1\]:\d+$/);
      expect(two.link.self.endpoint).toMatch(/^tcp:\/\/localhost:\d+$/);
      introduce(one, two);
      await ready(one, two);
      one.link.send("n2", signal("x"));
      await two.heard.until(() => two.heard.envelopes.length === 1);
    },
  );

  test("ipc, whose sockets are gone afterwards", async () => {
    const directory = ownDirectory();
    const [one, two] = await Promise.all(
      ["n1", "n2"].map((node) => openLink(node, { listen: `ipc://${join(directory, node)}` })),
    );
    introduce(one!, two!);
    await ready(one!, two!);
    two!.link.send("n1", signal("x"));
    await one!.heard.until(() => one!.heard.envelopes.length === 1);
    await one!.link.close();
    expect(readdirSync(directory)).toEqual(["n2"]);
  });

  const wayOf = ({ link }: TestNode, node: string): string =>
    link.peers().find((peer) => peer.node === node)!.endpoint;

  test("ipc between the workers of one machine, TCP with everybody else", async () => {
    const directory = ownDirectory();
    const worker = (node: string): Promise<TestNode> =>
      openLink(node, { local: `ipc://${join(directory, node)}` });
    const [one, two, three] = await Promise.all([worker("n1"), worker("n2"), openLink("n3")]);
    introduce(one, two, three);
    await ready(one, two, three);
    expect([wayOf(one, "n2"), wayOf(two, "n1")]).toEqual([two.link.self.local, one.link.self.local]);
    expect([wayOf(one, "n3"), wayOf(three, "n1")]).toEqual(
      [three, one].map(({ link }) => link.self.endpoint),
    );
    one.link.broadcast({ kind: "takeover", session: "s", epoch: 1 });
    three.link.send("n2", signal("x"));
    await two.heard.until(() => two.heard.envelopes.length === 2);
    await three.heard.until(() => three.heard.envelopes.length === 1);
    await one.link.close();
    expect(readdirSync(directory)).toEqual(["n2"]);
  });

  test("a worker whose socket is not where its card has it is reached over TCP, before long", async () => {
    const local = (name: string): string =>
      `ipc://@links-${process.pid}-${randomBytes(8).toString("hex")}/${name}`;
    const one = await openLink("n1", { local: local("a") });
    const two = await openLink("n2");
    one.link.setPeers([{ ...two.link.self, local: one.link.self.local!.replace(/a$/, "b") }]);
    two.link.setPeers([one.link.self]);
    await ready(one, two);
    expect(wayOf(one, "n2")).toBe(two.link.self.endpoint);
  });

  test("a worker with another link secret is refused over ipc as well", async () => {
    const directory = ownDirectory();
    const local = (node: string): string => `ipc://${join(directory, node)}`;
    const one = await openLink("n1", { local: local("n1") });
    const two = await openLink("n2", { local: local("n2"), secret: `${SECRET}, but another one` });
    const { publicKey } = linkKeys(SECRET).publisher("n2");
    one.link.setPeers([{ ...two.link.self, publicKey }]);
    await eventually(() => expect(one.link.silentPeers()).toEqual(["n2 does not accept our link secret"]));
    expect(one.heard.peers).toEqual([]);
  });

  test("no file of another directory is connected to, whatever a peer says", async () => {
    const directory = ownDirectory();
    const visited = vi.fn();
    const server = createServer(visited).listen(join(directory, "else"));
    onTestFinished(() => void server.close());
    await new Promise((resolve) => server.once("listening", resolve));
    const one = await openLink("n1", { local: `ipc://${join(ownDirectory(), "n1")}` });
    const two = await openLink("n2");
    const bait = `ipc://${join(directory, "else")}`;
    const { publicKey } = linkKeys(SECRET).publisher("n3");
    one.link.setPeers([
      { ...two.link.self, local: bait },
      { node: "n3", endpoint: bait, publicKey },
    ]);
    two.link.setPeers([one.link.self]);
    await eventually(() =>
      expect(one.link.peers()).toMatchObject([
        { node: "n2", state: "up", endpoint: two.link.self.endpoint },
        { node: "n3", why: "has an endpoint that makes no sense" },
      ]),
    );
    expect(visited).not.toHaveBeenCalled();
  });

  test("a port that is taken, an address that is none, and a secret that is too short are said in one line", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    onTestFinished(() => void server.close());
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as { port: number };
    await expect(openLink("n1", { listen: `tcp://127.0.0.1:${port}` })).rejects.toThrow(
      new Failure(`cannot listen for other nodes on tcp://127.0.0.1:${port}: Address already in use`),
    );
    await expect(openLink("n1", { listen: "nonsense" })).rejects.toThrow(/^cannot listen for other nodes on/);
    await expect(openLink("n1", { listen: "tcp://*:0" })).rejects.toThrow(/set link\.host/);
    await expect(openLink("n1", { secret: "short" })).rejects.toThrow(/link secret/);
    await expect(openLink("")).rejects.toThrow(Failure);
  });

  test("an endpoint that makes no sense is a peer that cannot be reached, and nothing worse", async () => {
    const { link } = await openLink("n1");
    const two = await openLink("n2");
    for (const endpoint of [
      "",
      "nonsense",
      "inproc://zeromq.zap.01",
      "tcp://127.0.0.1:99999",
      "tcp://a..b:1",
    ]) {
      link.setPeers([{ ...two.link.self, endpoint }]);
      expect(link.isReady()).toBe(false);
      expect(link.silentPeers()).toEqual([
        expect.stringMatching(/^n2 (has an endpoint that|cannot be reached)/),
      ]);
    }
    link.setPeers([{ node: "x".repeat(300), endpoint: two.link.self.endpoint, publicKey: "" }]);
    expect(link.isReady()).toBe(false);
  });
});

describe("peers come and go", () => {
  test("a newcomer that listens is told, before anybody has said that it is a peer", async () => {
    const [one] = await openCluster("n1");
    const two = await openLink("n2");
    two.link.setPeers([one!.link.self]);
    await one!.heard.until(() => one!.heard.peers.includes("n2 new"));
    one!.link.setPeers([two.link.self]);
    await ready(two);
    expect(one!.heard.peers).toEqual(["n2 new", "n2 up"]);
  });

  test("a newcomer that cannot be reached does not make the others unready, and is not ready itself", async () => {
    const [one, two] = await openCluster("n1", "n2");
    const three = await openLink("n3");
    const unreachable = { ...three.link.self, endpoint: "tcp://127.0.0.1:1" };
    for (const { link } of [one!, two!]) link.setPeers([one!.link.self, two!.link.self, unreachable]);
    three.link.setPeers([one!.link.self, two!.link.self]);
    await two!.heard.until(() => two!.link.peers().length === 2);
    expect([one!.link.isReady(), two!.link.isReady(), three.link.isReady()]).toEqual([true, true, false]);
    await eventually(() =>
      expect(three.link.silentPeers()).toEqual(["n1 does not hear us", "n2 does not hear us"]),
    );
  });

  test("a node that leaves is noticed at once, and what it has said last arrives", async () => {
    const [one, two] = await openCluster("n1", "n2");
    one!.link.send("n2", signal("goodbye"));
    await one!.link.close();
    expect(one!.link.send("n2", signal("too late"))).toBe(false);
    await two!.heard.until(() => two!.heard.peers.includes("n1 down"));
    await two!.heard.until(() => two!.heard.envelopes.length === 1);
    expect(two!.heard.signals).toEqual(["goodbye"]);
    expect(two!.link.send("n1", signal("x"))).toBe(false);
    two!.link.setPeers([two!.link.self]);
    expect(two!.link.peers()).toEqual([]);
    expect(two!.link.isReady()).toBe(true);
  });

  test("a dead node counts against readiness only when it stays on the list for longer than its lease", async () => {
    const [one, two] = await openCluster("n1", "n2");
    await one!.link.close();
    await two!.heard.until(() => two!.heard.peers.includes("n1 down"));
    expect(two!.link.isReady()).toBe(true);
    await eventually(() => expect(two!.link.isReady()).toBe(false));
    expect(two!.link.silentPeers()).toEqual(["n1 cannot be reached"]);
    expect(two!.link.peers()).toMatchObject([{ node: "n1", state: "lost" }]);
    two!.link.setPeers([two!.link.self]);
    expect(two!.link.isReady()).toBe(true);
  });

  test("a peer that is missing from the list for a moment stays linked", async () => {
    const [one, two] = await openCluster("n1", "n2");
    one!.link.setPeers([one!.link.self]);
    expect(one!.link.send("n2", signal("1"))).toBe(true);
    one!.link.setPeers([one!.link.self, two!.link.self]);
    expect(one!.link.send("n2", signal("2"))).toBe(true);
    await two!.heard.until(() => two!.heard.envelopes.length === 2);
    expect(one!.heard.peers).toEqual(["n2 up"]);
  });

  test("a peer that stays missing is forgotten, although it is there", async () => {
    const [one, two] = await openCluster("n1", "n2");
    one!.link.setPeers([one!.link.self]);
    await one!.heard.until(() => one!.heard.peers.includes("n2 down"));
    expect(one!.link.peers()).toEqual([]);
    expect(one!.link.send("n2", signal("x"))).toBe(false);
    expect(one!.link.isReady()).toBe(true);
    // The other one hears that it is not heard any more.
    await two!.heard.until(() => two!.heard.peers.includes("n1 down"));
    one!.link.setPeers([two!.link.self]);
    await one!.heard.until(() => one!.heard.peers.length === 3);
    expect(one!.heard.peers).toEqual(["n2 up", "n2 down", "n2 up"]);
  });

  test.each(["at the same endpoint", "at another endpoint"])(
    "a node that is started again %s is numbered anew, without false gaps",
    async (where) => {
      const directory = ownDirectory();
      const one = await openLink("n1", { local: `ipc://${join(directory, "n1")}` });
      const two = await openLink("n2", { listen: `ipc://${join(directory, "a")}` });
      introduce(one, two);
      await ready(one, two);
      for (const text of texts(10)) {
        one.link.send("n2", signal(text));
        two.link.send("n1", signal(text));
      }
      await one.heard.until(() => one.heard.envelopes.length === 10);
      await two.heard.until(() => two.heard.envelopes.length === 10);
      await two.link.close();
      await one.heard.until(() => one.heard.peers.includes("n2 down"));
      const file = where === "at the same endpoint" ? "a" : "b";
      const again = await openLink("n2", { listen: `ipc://${join(directory, file)}` });
      introduce(one, again);
      await ready(again);
      await one.heard.until(() => one.heard.peers.at(-1) === "n2 up");
      for (const text of texts(10)) {
        one.link.send("n2", signal(text));
        again.link.send("n1", signal(text));
      }
      await again.heard.until(() => again.heard.envelopes.length === 10);
      await one.heard.until(() => one.heard.envelopes.length === 20);
      expect(again.heard.signals).toEqual(texts(10));
      expect([one.heard.losses, again.heard.losses]).toEqual([[], []]);
    },
  );
});

describe("trouble on the way", () => {
  test("a peer that falls silent is down, on both sides, and up again when it speaks; what waited arrives", async () => {
    const one = await openLink("n1");
    const two = await openLink("n2", { times: { redial: 60_000 } });
    const wire = await wireTo(one.link.self);
    one.link.setPeers([two.link.self]);
    two.link.setPeers([wire.peer]);
    await ready(one, two);
    wire.hold();
    expect(one.link.send("n2", signal("waits"))).toBe(true);
    // N2 does not hear N1 any more, and says so.
    await two.heard.until(() => two.heard.peers.includes("n1 down"));
    await one.heard.until(() => one.heard.peers.includes("n2 down"));
    expect(one.link.send("n2", signal("not now"))).toBe(false);
    expect(one.link.peers()).toMatchObject([{ state: "lost", why: "does not hear us" }]);
    wire.release();
    await one.heard.until(() => one.heard.peers.at(-1) === "n2 up");
    await two.heard.until(() => two.heard.envelopes.length === 1);
    expect(two.heard.losses).toEqual([]);
    expect(two.heard.signals).toEqual(["waits"]);
  });

  test("what is lost with a connection is counted and told, and nothing else is", async () => {
    const one = await openLink("n1", { times: { patience: 60_000 } });
    const two = await openLink("n2", { times: { patience: 60_000, redial: 60_000 } });
    const wire = await wireTo(one.link.self);
    one.link.setPeers([two.link.self]);
    two.link.setPeers([wire.peer]);
    await ready(one, two);
    for (const text of texts(10, "before ")) one.link.send("n2", signal(text));
    await two.heard.until(() => two.heard.envelopes.length === 10);
    wire.hold();
    for (const text of texts(100, "lost ")) expect(one.link.send("n2", signal(text))).toBe(true);
    await new Promise((resolve) => setImmediate(resolve)); // they are on their way
    wire.cut();
    wire.release();
    await one.heard.until(() => one.heard.peers.at(-1) === "n2 up" && one.heard.peers.length === 3);
    for (const text of texts(10, "after ")) one.link.send("n2", signal(text));
    await two.heard.until(() => two.heard.envelopes.length === 20);
    expect(two.heard.signals).toEqual([...texts(10, "before "), ...texts(10, "after ")]);
    expect(two.heard.losses).toEqual([{ from: "n1", lost: 100 }]);
    expect(two.link.counts.lost).toBe(100);
  });

  test("a peer that does not read fills its window and no more; all that was accepted arrives", async () => {
    const one = await openLink("n1", { times: { patience: 60_000 } });
    const two = await openLink("n2", { times: { patience: 60_000 } });
    const wire = await wireTo(one.link.self);
    one.link.setPeers([two.link.self]);
    two.link.setPeers([wire.peer]);
    await ready(one, two);
    wire.hold();
    const kilobytes = 32;
    let accepted = 0;
    while (one.link.send("n2", signal(`${accepted} ${"x".repeat(kilobytes * 1024)}`))) accepted += 1;
    expect((accepted * kilobytes) / 1024).toBeGreaterThan(7);
    expect((accepted * kilobytes) / 1024).toBeLessThanOrEqual(8);
    expect(one.link.counts.refused).toBe(1);
    wire.release();
    await two.heard.until(() => two.heard.envelopes.length === accepted);
    expect(two.heard.signals.map((text) => Number.parseInt(text, 10))).toEqual(texts(accepted).map(Number));
    expect(two.heard.losses).toEqual([]);
    await eventually(() => expect(one.link.send("n2", signal("goes on"))).toBe(true));
  });
});
