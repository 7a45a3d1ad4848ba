import { createSocket } from "node:dgram";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { realClock } from "../clock.ts";
import { StillClock } from "../still-clock.ts";
import { createSelfSigned } from "../tls/self-signed.ts";
import { testRelay } from "./self-test.ts";
import { ATTRIBUTE, addressValue, type Attribute, decode, encode, type Kind, longTermKey } from "./stun.ts";
import { startTestTurn, type TestTurn, TO_ITSELF } from "./test-server.ts";

let directory: string;
let turn: TestTurn;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "chatrandom-self-test-"));
  const { chain, key } = await createSelfSigned(["localhost"], Date.now());
  writeFileSync(join(directory, "cert.pem"), chain);
  writeFileSync(join(directory, "key.pem"), key, { mode: 0o600 });
  turn = await startTestTurn([
    ...TO_ITSELF,
    `cert=${join(directory, "cert.pem")}`,
    `pkey=${join(directory, "key.pem")}`,
  ]);
});
afterAll(async () => {
  await turn.stop();
  rmSync(directory, { recursive: true, force: true });
});

const PATIENT = { clock: realClock, timeout: 30_000 };

test("a relay that works is seen to work, by every way to it, and so is STUN", async () => {
  const here = `127.0.0.1:${turn.port}`;
  const urls = [`turn:${here}`, `turn:${here}?transport=tcp`, `turns:${here}?transport=tcp`, `stun:${here}`];
  const tried = await testRelay([{ urls, ...turn.credentials() }], PATIENT);
  const common = { remote: "127.0.0.1", ms: expect.any(Number) };
  const mapped = { address: "127.0.0.1", port: expect.any(Number) };
  const relayed = mapped;
  expect(tried).toEqual([
    { url: urls[0], kind: "turn", transport: "udp", outcome: "works", mapped, relayed, ...common },
    { url: urls[1], kind: "turn", transport: "tcp", outcome: "works", mapped, relayed, ...common },
    {
      url: urls[2],
      kind: "turn",
      transport: "tls",
      outcome: "limited",
      reason: "untrusted",
      problem: "its certificate is not trusted, so browsers refuse it",
      mapped,
      relayed,
      ...common,
    },
    { url: urls[3], kind: "stun", transport: "udp", outcome: "works", mapped, ...common },
  ]);
});

test("it leaves no allocation behind", async () => {
  // Two at once are all that one username may have.
  const tight = await startTestTurn([...TO_ITSELF, "user-quota=2"]);
  onTestFinished(() => tight.stop());
  const servers = [{ urls: `turn:127.0.0.1:${tight.port}`, ...tight.credentials() }];
  expect(await testRelay(servers, PATIENT)).toMatchObject([{ outcome: "works" }]);
  // coturn takes a moment to forget them.
  await expect
    .poll(async () => (await testRelay(servers, PATIENT))[0]!.outcome, { timeout: 30_000, interval: 50 })
    .toBe("works");
});

test("one that refuses itself as a peer says so: allocations work", async () => {
  const strict = await startTestTurn(["denied-peer-ip=127.0.0.0-127.255.255.255"]);
  onTestFinished(() => strict.stop());
  const [tried] = await testRelay(
    [{ urls: `turn:127.0.0.1:${strict.port}`, ...strict.credentials() }],
    PATIENT,
  );
  expect(tried).toMatchObject({ outcome: "limited", reason: "forbidden_peer" });
  expect(tried!.problem).toContain("does not relay to itself");
});

describe("what fails says why", () => {
  test("a wrong secret", async () => {
    const { username } = turn.credentials();
    const servers = [{ urls: [`turn:127.0.0.1:${turn.port}`], username, credential: "wrong" }];
    expect(await testRelay(servers, PATIENT)).toMatchObject([{ outcome: "fails", reason: "unauthorised" }]);
  });

  test("a dead port, over UDP and TCP", async () => {
    const gone = await startTestTurn();
    await gone.stop();
    const urls = [`turn:127.0.0.1:${gone.port}`, `turn:127.0.0.1:${gone.port}?transport=tcp`];
    const tried = await testRelay([{ urls, ...gone.credentials() }], PATIENT);
    expect(tried).toMatchObject([
      { outcome: "fails", reason: "refused", problem: "nothing listens there" },
      { outcome: "fails", reason: "refused", problem: "nothing listens there" },
    ]);
  });

  test("a relay through which nothing arrives, as behind a firewall that lets only its own port through", async () => {
    const key = longTermKey("anna", "here", "hush");
    const clock = new StillClock();
    const timeout = 1_000;
    const relay = createSocket("udp4");
    relay.on("message", (bytes, { port, address }) => {
      const { method, kind, transaction, attributes } = decode(bytes)!;
      // What is sent through it, which nobody hears of any more.
      if (kind !== "request") return clock.move(timeout);
      const answer = (kind: Kind, attributes: Attribute[], key?: Uint8Array): void =>
        relay.send(encode({ method, kind, transaction, attributes }, key), port, address);
      const at = addressValue({ address: "192.0.2.1", port }, transaction);
      if (attributes.some(([type]) => type === ATTRIBUTE.username))
        answer("success", [[ATTRIBUTE.xorRelayedAddress, at]], key);
      else
        answer("error", [
          [ATTRIBUTE.errorCode, Buffer.from([0, 0, 4, 1])],
          [ATTRIBUTE.realm, Buffer.from("here")],
          [ATTRIBUTE.nonce, Buffer.from("nonce")],
        ]);
    });
    await new Promise<void>((resolve) => relay.bind(0, "127.0.0.1", resolve));
    onTestFinished(() => new Promise<void>((resolve) => relay.close(resolve)));
    const servers = [
      { urls: `turn:127.0.0.1:${relay.address().port}`, username: "anna", credential: "hush" },
    ];
    const [tried] = await testRelay(servers, { clock, timeout });
    expect(tried).toMatchObject({
      outcome: "fails",
      reason: "no_answer",
      problem: "it allocates, but what is sent through it does not arrive",
      relayed: { address: "192.0.2.1" },
    });
  });

  test("a port that something else listens on and never answers", async () => {
    const socket = createSocket("udp4");
    await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
    onTestFinished(() => new Promise<void>((resolve) => socket.close(resolve)));
    const servers = [{ urls: `stun:127.0.0.1:${socket.address().port}` }];
    const [tried] = await testRelay(servers, { clock: realClock, timeout: 100 });
    expect(tried).toMatchObject({ outcome: "fails", reason: "no_answer" });
  });

  test("TLS over UDP is not what browsers use", async () => {
    const [tried] = await testRelay([{ urls: "turns:127.0.0.1:1?transport=udp" }], PATIENT);
    expect(tried).toMatchObject({ outcome: "limited", transport: "dtls" });
  });
});

test("no servers, no results; and what is no address of one is left out", async () => {
  expect(await testRelay([], PATIENT)).toEqual([]);
  expect(await testRelay([{ urls: ["http://example.org"] }], PATIENT)).toEqual([]);
});
