import { createSocket, type RemoteInfo } from "node:dgram";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { realClock } from "../clock.ts";
import { StillClock } from "../still-clock.ts";
import { createSelfSigned } from "../tls/self-signed.ts";
import type { IcePlace } from "./ice-url.ts";
import { ATTRIBUTE, addressValue, decode, encode, longTermKey, type Message } from "./stun.ts";
import { startTestTurn, type TestTurn, TO_ITSELF } from "./test-server.ts";
import { openTurnClient, type TurnClient, type TurnClientOptions } from "./turn-client.ts";
import { until } from "../test-until.ts";

let directory: string;
let turn: TestTurn;
const ending: (() => unknown)[] = [];
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "chatrandom-turn-client-"));
  const { chain, key } = await createSelfSigned(["localhost"], Date.now());
  writeFileSync(join(directory, "cert.pem"), chain);
  writeFileSync(join(directory, "key.pem"), key, { mode: 0o600 });
  turn = await startTestTurn([
    ...TO_ITSELF,
    "user-quota=2",
    `cert=${join(directory, "cert.pem")}`,
    `pkey=${join(directory, "key.pem")}`,
  ]);
});
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});
afterAll(async () => {
  await turn.stop();
  rmSync(directory, { recursive: true, force: true });
});

type Transport = IcePlace["transport"];
const at = (port: number, transport: Transport = "udp", host = "127.0.0.1"): IcePlace => ({
  kind: "turn",
  host,
  port,
  transport,
});

/** Nothing that works takes nearly as long. */
const PATIENT: TurnClientOptions = { clock: realClock, timeout: 30_000, verify: false };

async function open(place: IcePlace, options: Partial<TurnClientOptions> = {}): Promise<TurnClient> {
  const client = await openTurnClient(place, { ...PATIENT, ...options });
  ending.push(() => client.close());
  return client;
}

describe.each<Transport>(["udp", "tcp", "tls"])("with coturn over %s", (transport) => {
  test("asks from where the server sees us", async () => {
    const client = await open(at(turn.port, transport));
    expect(await client.bind()).toEqual({ address: "127.0.0.1", port: expect.any(Number) });
  });

  test("two allocations exchange datagrams through the relay", async () => {
    const credentials = turn.credentials(`echo-${transport}`);
    const near = await (await open(at(turn.port, transport))).allocate(credentials);
    const far = await (await open(at(turn.port, transport))).allocate(credentials);
    await near.permit(far.relayed);
    await far.permit(near.relayed);
    far.onData = (peer, data) => far.send(peer, Buffer.concat([data, data]));
    const heard: unknown[] = [];
    near.onData = (peer, data) => void heard.push([peer, String(data)]);
    // Of a length that has to be padded.
    near.send(far.relayed, Buffer.from("abcde"));
    await until(() => heard.length > 0);
    expect(heard).toEqual([[far.relayed, "abcdeabcde"]]);
  });

  test("a wrong secret and credentials that have expired are unauthorised", async () => {
    const { username } = turn.credentials();
    for (const credentials of [{ username, credential: "wrong" }, turn.credentials("late", -10)]) {
      const client = await open(at(turn.port, transport));
      await expect(client.allocate(credentials)).rejects.toMatchObject({ reason: "unauthorised" });
    }
  });
});

test("a quota that is used up is told; what was released counts no more", async () => {
  const credentials = turn.credentials("greedy");
  const first = await (await open(at(turn.port))).allocate(credentials);
  await (await open(at(turn.port))).allocate(credentials);
  const third = await open(at(turn.port));
  await expect(third.allocate(credentials)).rejects.toMatchObject({ reason: "quota" });
  await first.release();
  // coturn takes a moment.
  const fits = async () => {
    const fourth = await open(at(turn.port));
    return fourth.allocate(credentials).then(
      () => true,
      () => fourth.close(),
    );
  };
  await until(fits, 50);
});

test("a peer that the relay refuses is told", async () => {
  const strict = await startTestTurn(["denied-peer-ip=127.0.0.0-127.255.255.255"]);
  ending.push(() => strict.stop());
  const allocation = await (await open(at(strict.port))).allocate(strict.credentials());
  await expect(allocation.permit(allocation.relayed)).rejects.toMatchObject({ reason: "forbidden_peer" });
});

describe("what cannot be reached", () => {
  test("a port that nothing listens on, over UDP too", async () => {
    const gone = await startTestTurn();
    await gone.stop();
    const refused = { reason: "refused", message: "nothing listens there" };
    await expect(openTurnClient(at(gone.port, "tcp"), PATIENT)).rejects.toMatchObject(refused);
    await expect(openTurnClient(at(gone.port, "tls"), PATIENT)).rejects.toMatchObject(refused);
    const client = await open(at(gone.port));
    await expect(client.bind()).rejects.toMatchObject(refused);
    // And it stays so.
    await expect(client.bind()).rejects.toMatchObject(refused);
  });

  test.each<Transport>(["udp", "tcp"])("a name that does not exist, over %s", async (transport) => {
    await expect(openTurnClient(at(3478, transport, "nobody.invalid"), PATIENT)).rejects.toMatchObject({
      reason: "unknown_host",
    });
  });

  test.each<Transport>(["udp", "tcp"])("an address that leads nowhere, over %s", async (transport) => {
    const nowhere = at(3478, transport, "255.255.255.255");
    await expect(openTurnClient(nowhere, PATIENT)).rejects.toMatchObject({ reason: "unreachable" });
  });

  test("a certificate that nobody stands behind, unless any will do", async () => {
    await expect(
      openTurnClient(at(turn.port, "tls", "localhost"), { ...PATIENT, verify: true }),
    ).rejects.toMatchObject({ reason: "untrusted" });
  });

  test("a server without TLS, and one that speaks HTTP", async () => {
    const web = createServer((socket) =>
      socket
        .on("error", () => {})
        .resume()
        .end("HTTP/1.1 400 Bad Request\r\n\r\n"),
    );
    await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
    ending.push(() => new Promise((resolve) => web.close(resolve)));
    const { port } = web.address() as AddressInfo;
    await expect(openTurnClient(at(port, "tls"), PATIENT)).rejects.toMatchObject({ reason: "not_turn" });
    const client = await open(at(port, "tcp"));
    await expect(client.bind()).rejects.toMatchObject({ reason: "not_turn" });
  });

  test("TLS over UDP is not tried", async () => {
    await expect(openTurnClient(at(turn.port, "dtls"), PATIENT)).rejects.toMatchObject({ reason: "failed" });
  });

  test("a server that accepts and says nothing is given up after the time", async () => {
    const silent = createServer((socket) => void socket.on("error", () => {}).resume());
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    ending.push(() => new Promise((resolve) => silent.close(resolve)));
    const { port } = silent.address() as AddressInfo;
    const clock = new StillClock();
    const handshake = openTurnClient(at(port, "tls"), { clock, timeout: 5_000 });
    clock.move(5_000);
    await expect(handshake).rejects.toMatchObject({ reason: "no_answer" });
    const client = await open(at(port, "tcp"), { clock, timeout: 5_000 });
    const bound = client.bind();
    clock.move(5_000);
    await expect(bound).rejects.toMatchObject({ reason: "no_answer" });
    expect(clock.pending).toBe(0);
  });
});

describe("over UDP with a server of our own making", () => {
  type Answer = (request: Message, count: number) => Buffer | undefined;

  /** Answers the requests as it is told. */
  async function server(answer: Answer): Promise<{ port: number; count: () => number }> {
    const socket = createSocket("udp4");
    let count = 0;
    socket.on("message", (bytes: Buffer, { port, address }: RemoteInfo) => {
      const reply = answer(decode(bytes)!, ++count);
      if (reply) socket.send(reply, port, address);
    });
    await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
    ending.push(() => new Promise<void>((resolve) => socket.close(resolve)));
    return { port: socket.address().port, count: () => count };
  }

  const credentials = { username: "anna", credential: "hush" };
  const KEY = longTermKey("anna", "here", "hush");
  const address = { address: "203.0.113.9", port: 4000 };
  const reply = (
    { method, transaction }: Message,
    kind: Message["kind"],
    attributes: Message["attributes"],
    key?: Uint8Array,
  ): Buffer => encode({ method, kind, transaction, attributes }, key);
  const refusal = (request: Message, code: number, nonce: string): Buffer =>
    reply(request, "error", [
      [ATTRIBUTE.errorCode, Buffer.from([0, 0, Math.floor(code / 100), code % 100])],
      [ATTRIBUTE.realm, Buffer.from("here")],
      [ATTRIBUTE.nonce, Buffer.from(nonce)],
    ]);
  const allocated = (request: Message, key: Uint8Array | undefined): Buffer =>
    reply(
      request,
      "success",
      [[ATTRIBUTE.xorRelayedAddress, addressValue(address, request.transaction)]],
      key,
    );

  test("what was lost is sent again, later each time", async () => {
    const { port, count } = await server((request, count) =>
      count < 3
        ? undefined
        : reply(request, "success", [
            [ATTRIBUTE.xorMappedAddress, addressValue(address, request.transaction)],
          ]),
    );
    const clock = new StillClock();
    const client = await open(at(port), { clock, timeout: 5_000 });
    const bound = client.bind();
    await until(() => count() === 1);
    clock.move(500);
    await until(() => count() === 2);
    clock.move(999);
    expect(count()).toBe(2);
    clock.move(1);
    expect(await bound).toEqual(address);
    expect(clock.pending).toBe(0);
  });

  test("a nonce that has grown old is replaced, once", async () => {
    const { port, count } = await server((request, count) => {
      if (count === 1) return refusal(request, 401, "first");
      return count === 2 ? refusal(request, 438, "second") : allocated(request, KEY);
    });
    const client = await open(at(port));
    expect((await client.allocate(credentials)).relayed).toEqual(address);
    expect(count()).toBe(3);

    const stubborn = await server((request) =>
      refusal(request, request.attributes.length > 1 ? 438 : 401, "n"),
    );
    const refused = await open(at(stubborn.port));
    await expect(refused.allocate(credentials)).rejects.toMatchObject({ reason: "failed" });
    expect(stubborn.count()).toBe(3);
  });

  test("a server that asks for no password is told: it would relay for all the world", async () => {
    const { port } = await server((request) => allocated(request, undefined));
    const client = await open(at(port));
    await expect(client.allocate(credentials)).rejects.toThrow("it relays for everybody");
  });

  test("a success without the right signature is not believed", async () => {
    const { port } = await server((request, count) => {
      if (count === 1) return refusal(request, 401, "nonce");
      return allocated(request, count === 2 ? undefined : count === 3 ? Buffer.from("wrong") : KEY);
    });
    const clock = new StillClock();
    const client = await open(at(port), { clock, timeout: 60_000 });
    const allocation = client.allocate(credentials);
    let settled = false;
    void allocation.then(() => (settled = true));
    await until(() => {
      clock.move(500);
      return settled;
    }, 50);
    expect((await allocation).relayed).toEqual(address);
  });

  test("an error of any kind is told with what the server says, harmlessly", async () => {
    const { port } = await server((request) =>
      reply(request, "error", [
        [ATTRIBUTE.errorCode, Buffer.concat([Buffer.from([0, 0, 4, 20]), Buffer.from("Un\u001b[31mknown")])],
      ]),
    );
    const client = await open(at(port));
    await expect(client.bind()).rejects.toThrow("it answers 420 Un[31mknown");
  });

  test("what waits ends when the client is closed", async () => {
    const { port } = await server(() => undefined);
    const clock = new StillClock();
    const client = await open(at(port), { clock });
    const bound = client.bind();
    client.close();
    await expect(bound).rejects.toMatchObject({ reason: "closed" });
    expect(clock.pending).toBe(0);
  });
});
