/** What somebody without the link secret can do: nothing. And what somebody with it can break: nothing but its own link. */
import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import "./zeromq-addon.ts";
import { Context, Reply, Subscriber, XPublisher, curveKeyPair, type EventType, type Observer } from "zeromq";
import { BROADCAST, encodeBeat, topicOf } from "./frame.ts";
import { linkKeys } from "./keys.ts";
import { SECRET, introduce, openCluster, openLink, ready, signal, wireTo } from "./test-links.ts";
import { eventually } from "../test-until.ts";

const OTHER_SECRET = `${SECRET}, but another one`;
const MARK = "nobody else must read this";
const OPTIONS = { context: new Context(), linger: 0, reconnectInterval: 20 };

/** Resolves as soon as the socket sees one of the events. */
function seen(events: Observer, ...types: EventType[]): Promise<void> {
  return new Promise((resolve) => {
    for (const type of types) events.on(type, () => resolve());
  });
}

/** A subscriber that is no node, and what it hears. */
function outsider(endpoint: string, keys: object): { refused: Promise<void>; heard: Buffer[] } {
  const subscriber = new Subscriber({ ...OPTIONS, ...keys });
  onTestFinished(() => subscriber.close());
  const heard: Buffer[] = [];
  const refused = seen(
    subscriber.events,
    "handshake:error:auth",
    "handshake:error:protocol",
    "handshake:error:other",
  );
  subscriber.subscribe();
  subscriber.connect(endpoint);
  void (async () => {
    for await (const [frame] of subscriber) heard.push(frame!);
  })();
  return { refused, heard };
}

/** A publisher that pretends to be a node. */
async function pretender(keys: object): Promise<{ endpoint: string; publisher: XPublisher }> {
  const publisher = new XPublisher({ ...OPTIONS, sendTimeout: 0, ...keys });
  onTestFinished(() => publisher.close());
  await publisher.bind("tcp://127.0.0.1:*");
  return { endpoint: publisher.lastEndpoint!, publisher };
}

describe("another link secret", () => {
  test("two nodes that tell by their public keys exchange nothing, are not ready and say why", async () => {
    const one = await openLink("n1");
    const two = await openLink("n2", { secret: OTHER_SECRET });
    introduce(one, two);
    for (const [{ link }, other] of [
      [one, "n2"],
      [two, "n1"],
    ] as const) {
      expect(link.isReady()).toBe(false);
      expect(link.silentPeers()).toEqual([
        `${other} has another link secret, or another version of the links`,
      ]);
      expect(link.peers()).toMatchObject([{ node: other, state: "foreign" }]);
      expect(link.send(other, signal(MARK))).toBe(false);
    }
  });

  test("a node that joins with another one is not ready, and the others stay so", async () => {
    const [one, two] = await openCluster("n1", "n2");
    const three = await openLink("n3", { secret: OTHER_SECRET });
    introduce(one!, two!, three);
    expect([one!, two!, three].map(({ link }) => link.isReady())).toEqual([true, true, false]);
    one!.link.send("n2", signal("goes on"));
    await two!.heard.until(() => two!.heard.envelopes.length === 1);
    expect(three.heard.peers).toEqual([]);
  });

  test("with the right public key in the registry it is refused all the same, on both sides, and both say so", async () => {
    const one = await openLink("n1");
    const two = await openLink("n2", { secret: OTHER_SECRET });
    one.link.setPeers([{ ...two.link.self, publicKey: linkKeys(SECRET).publisher("n2").publicKey }]);
    two.link.setPeers([{ ...one.link.self, publicKey: linkKeys(OTHER_SECRET).publisher("n1").publicKey }]);
    await eventually(() => {
      for (const { link } of [one, two]) {
        expect(link.counts.turnedAway).toBeGreaterThan(0);
        expect(link.silentPeers()[0]).toMatch(/^n[12] does not accept our link secret$/);
      }
    });
    expect([one.heard.peers, two.heard.peers]).toEqual([[], []]);
    expect([one.link.isReady(), two.link.isReady()]).toEqual([false, false]);
    expect(one.link.send("n2", signal(MARK))).toBe(false);
  });
});

test("a node that was refused once is dialled again, although ZeroMQ itself gives up then", async () => {
  const context = new Context();
  const refusing = new Reply({ context });
  await refusing.bind("inproc://zeromq.zap.01");
  const keys = { curveServer: true, curveSecretKey: linkKeys(SECRET).publisher("n2").secretKey };
  const publisher = new XPublisher({ ...keys, context, linger: 0, zapDomain: "any" });
  onTestFinished(() => [refusing, publisher].forEach((socket) => socket.close()));
  await publisher.bind("tcp://127.0.0.1:*");
  const listen = publisher.lastEndpoint!;
  const one = await openLink("n1");
  const refused = seen(publisher.events, "handshake:error:auth");
  const { publicKey } = linkKeys(SECRET).publisher("n2");
  one.link.setPeers([{ node: "n2", endpoint: listen, publicKey }]);
  const [version, request] = await refusing.receive();
  await refusing.send([version!, request!, "400", "not now", "", ""]);
  await refused;
  publisher.close();
  const two = await eventually(() => openLink("n2", { listen }));
  two.link.setPeers([one.link.self]);
  await ready(one, two);
});

describe("an eavesdropper", () => {
  test("on the wire reads neither text nor ids", async () => {
    const one = await openLink("node-one");
    const two = await openLink("node-two");
    const wire = await wireTo(one.link.self);
    one.link.setPeers([two.link.self]);
    two.link.setPeers([wire.peer]);
    await ready(one, two);
    for (let i = 0; i < 10; i++) one.link.send("node-two", signal(MARK));
    await two.heard.until(() => two.heard.envelopes.length === 10);
    const all = Buffer.concat(wire.tapped);
    expect(all.length).toBeGreaterThan(10 * MARK.length);
    for (const secret of [MARK, "node-one", "node-two", "pair", SECRET])
      expect(all.includes(secret)).toBe(false);
  });

  test.each([
    ["without any keys", () => ({})],
    [
      "with keys of its own and the public key of the publisher",
      () => ({ ...client(curveKeyPair()), ...server("n1") }),
    ],
    [
      "with the publisher's public key as if it were its own",
      () => ({
        ...client({ ...curveKeyPair(), publicKey: linkKeys(SECRET).subscriber.publicKey }),
        ...server("n1"),
      }),
    ],
    [
      "with the keys of another secret",
      () => ({ ...client(linkKeys(OTHER_SECRET).subscriber), ...server("n1", OTHER_SECRET) }),
    ],
  ])("that connects %s is refused and gets nothing", async (_how, keys) => {
    const [one, two] = await openCluster("n1", "n2");
    const { refused, heard } = outsider(one!.link.self.endpoint, keys());
    await refused;
    for (let i = 0; i < 100; i++) {
      one!.link.send("n2", signal(MARK));
      one!.link.broadcast({ kind: "takeover", session: MARK, epoch: 1 });
    }
    await two!.heard.until(() => two!.heard.envelopes.length === 200);
    expect(heard).toEqual([]);
    await eventually(() => expect(one!.link.counts.turnedAway).toBeGreaterThan(0));
  });
});

const client = ({ publicKey, secretKey }: { publicKey: string; secretKey: string }) => ({
  curvePublicKey: publicKey,
  curveSecretKey: secretKey,
});
const server = (node: string, secret = SECRET) => ({
  curveServerKey: linkKeys(secret).publisher(node).publicKey,
});

describe("a forged publisher", () => {
  test.each([
    ["with no keys", () => ({})],
    ["with keys of its own", () => ({ curveServer: true, curveSecretKey: curveKeyPair().secretKey })],
    [
      "with the keys of another node of the cluster",
      () => ({ curveServer: true, curveSecretKey: linkKeys(SECRET).publisher("n3").secretKey }),
    ],
  ])("%s at the address of a node injects nothing", async (_how, keys) => {
    const { link, heard } = await openLink("n1");
    const { endpoint, publisher } = await pretender(keys());
    const failed = seen(publisher.events, "handshake:error:protocol", "handshake:error:other", "disconnect");
    link.setPeers([{ node: "n2", endpoint, publicKey: linkKeys(SECRET).publisher("n2").publicKey }]);
    const beat = { stream: 7, next: 0, streamToAll: 8, nextToAll: 0, heard: 7, expected: 0, asks: true };
    publisher.send(encodeBeat(topicOf("n1")!, beat)).catch(() => {});
    await failed;
    publisher.send(encodeBeat(topicOf("n1")!, beat)).catch(() => {});
    await eventually(() => expect(link.silentPeers()).toEqual(["n2 does not accept our link secret"]));
    expect(link.peers()).toMatchObject([{ state: "joining" }]);
    expect(heard.peers).toEqual([]);
    expect(link.counts).toMatchObject({ received: 0, malformed: 0 });
  });

  test("with its own public key in the registry is not even connected to", async () => {
    const { link } = await openLink("n1");
    const { publicKey, secretKey } = curveKeyPair();
    const { endpoint, publisher } = await pretender({ curveServer: true, curveSecretKey: secretKey });
    const connected = vi.fn();
    publisher.events.on("accept", connected);
    const two = await openLink("n2");
    link.setPeers([{ node: "n3", endpoint, publicKey }, two.link.self]);
    two.link.setPeers([link.self]);
    await eventually(() => expect(link.peers()).toMatchObject([{ state: "foreign" }, { state: "up" }]));
    expect(connected).not.toHaveBeenCalled();
    expect(link.isReady()).toBe(false);
  });
});

describe("hostile bytes", () => {
  test("at the port, of any kind and amount, disturb nobody", async () => {
    const [one, two] = await openCluster("n1", "n2");
    const port = Number(new URL(one!.link.self.endpoint).port);
    const greeting = Buffer.concat([
      Buffer.from("ff00000000000000017f0301", "hex"),
      Buffer.from("CURVE"),
      Buffer.alloc(47),
    ]);
    const attacks = [
      Buffer.alloc(0),
      randomBytes(10_000),
      Buffer.from("GET / HTTP/1.1\r\n\r\n"),
      greeting,
      Buffer.concat([greeting, Buffer.from("04c8", "hex"), Buffer.from("\x05HELLO"), randomBytes(194)]),
      Buffer.concat([greeting, Buffer.from("06ffffffffffffffff", "hex"), randomBytes(1_000)]),
      Buffer.concat([greeting, randomBytes(100_000)]),
    ];
    await Promise.all(
      attacks.map(
        (bytes) =>
          new Promise<void>((resolve) => {
            const socket = connect(port, "127.0.0.1", () => socket.end(bytes));
            socket.on("error", () => resolve());
            socket.on("close", () => resolve());
            socket.resume();
          }),
      ),
    );
    one!.link.send("n2", signal("still here"));
    await two!.heard.until(() => two!.heard.envelopes.length === 1);
    const three = await openLink("n3");
    introduce(one!, two!, three);
    await ready(three);
  });

  test("of a node with the secret are counted, and its link goes on", async () => {
    const { link, heard } = await openLink("n1");
    const keys = linkKeys(SECRET);
    const { endpoint, publisher } = await pretender({
      curveServer: true,
      curveSecretKey: keys.publisher("rogue").secretKey,
    });
    const two = await openLink("n2");
    link.setPeers([two.link.self, { node: "rogue", endpoint, publicKey: keys.publisher("rogue").publicKey }]);
    two.link.setPeers([link.self]);
    await publisher.receive(); // our subscription
    await publisher.receive();
    const topic = topicOf("n1")!;
    const count = 500;
    for (let i = 0; i < count; i++) {
      const bytes = randomBytes(1 + (i % 300));
      bytes[0] = 200; // no kind of frame
      publisher.send(Buffer.concat([i % 2 === 0 ? topic : BROADCAST, bytes])).catch(() => {});
    }
    publisher.send([topic, Buffer.from("a second part")]).catch(() => {});
    await two.heard.until(() => two.heard.peers.includes("n1 up"));
    await eventually(() => expect(link.counts.malformed).toBe(count + 1));
    two.link.send("n1", signal("still here"));
    await heard.until(() => heard.envelopes.length === 1);
    expect(link.peers()).toMatchObject([
      { node: "n2", state: "up" },
      { node: "rogue", state: "joining" },
    ]);
  });
});
