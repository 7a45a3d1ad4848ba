import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { connectRedis, type RedisConnection } from "../redis/client.ts";
import { startTestRedis, type TestRedis } from "../redis/test-server.ts";
import { StillClock } from "../still-clock.ts";
import type { Certificate } from "./certificate.ts";
import type { CertificateStore } from "./certificate-store.ts";
import { dataDirStore } from "./data-dir-store.ts";
import { redisStore } from "./redis-store.ts";
import { createSelfSigned } from "./self-signed.ts";
import { until } from "../test-until.ts";

const authority = "https://ca.example:14000/dir";
let certificate: Certificate;
let server: TestRedis;
let redis: RedisConnection;
let root: string;
let prefix: string;
let clock: StillClock;
let warnings: string[];
beforeAll(async () => {
  certificate = await createSelfSigned(["chat.example"], Date.now());
  server = await startTestRedis();
  redis = connectRedis(server.url);
  await redis.check(5_000);
});
afterAll(async () => {
  await redis.close();
  await server.stop();
});
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "chatrandom-store-"));
  prefix = `${randomBytes(6).toString("hex")}:`;
  clock = new StillClock();
  warnings = [];
});
afterEach(() => rmSync(root, { recursive: true }));

const log = { warn: (_: object, message: string) => void warnings.push(message) };
const inDirectory = (more = {}): CertificateStore =>
  dataDirStore({ directory: root, domain: "chat.example", authority, clock, log, ...more });
const inRedis = (more = {}): CertificateStore =>
  redisStore({ redis, prefix, domain: "chat.example", authority, secret: "of the cluster", log, ...more });

describe.each([
  ["the data directory", inDirectory],
  ["Redis", inRedis],
])("in %s", (_, open) => {
  test("there is nothing at first", async () => {
    const store = open();
    expect(
      await Promise.all([store.account(), store.certificate(), store.answer(), store.answer("t")]),
    ).toEqual([undefined, undefined, undefined, undefined]);
  });

  test("what was saved is found again, by another process too", async () => {
    const account = { url: "https://ca.example/account/1", key: "secret" };
    await open().saveAccount(account);
    await open().saveCertificate(certificate);
    expect(await open().account()).toEqual(account);
    const found = (await open().certificate())!;
    expect([found.fingerprint, found.key]).toEqual([certificate.fingerprint, certificate.key]);
  });

  test("another domain and another authority have their own", async () => {
    await open().saveCertificate(certificate);
    await open().saveAccount({ url: "u", key: "k" });
    expect(await open({ domain: "other.example" }).certificate()).toBeUndefined();
    expect(await open({ authority: "https://other.example/dir" }).account()).toBeUndefined();
  });

  test("an answer is found by its token, and the latest without one, until it is dropped", async () => {
    const store = open();
    const [one, two] = ["one", "two"].map((token) => ({ token, keyAuthorization: `${token}.k` })) as [
      never,
      never,
    ];
    await store.putAnswer(one, 60_000);
    await store.putAnswer(two, 60_000);
    expect([await store.answer("one"), await store.answer(), await store.answer("x")]).toEqual([
      one,
      two,
      undefined,
    ]);
    await store.dropAnswer(two);
    expect(await store.answer("two")).toBeUndefined();
    await store.dropAnswer(one);
    expect([await store.answer("one"), await store.answer()]).toEqual([undefined, undefined]);
  });

  test("an answer that is dropped late does not take the next one along", async () => {
    const store = open();
    const [late, next] = ["late", "next"].map((token) => ({ token, keyAuthorization: `${token}.k` })) as [
      never,
      never,
    ];
    await store.putAnswer(late, 60_000);
    await store.putAnswer(next, 60_000);
    await store.dropAnswer(late);
    expect([await store.answer(), await store.answer("late")]).toEqual([next, undefined]);
  });

  test("one has the lease, and the next when it is done", async () => {
    const store = open();
    const lease = (await store.lease(60_000))!;
    expect(await store.lease(60_000)).toBeUndefined();
    await lease.done();
    expect(await store.lease(60_000)).toMatchObject({ failures: 0 });
  });
});

test("a lease, an answer and a pause after a failure end with their time, in the data directory", async () => {
  const store = inDirectory();
  await store.putAnswer({ token: "t", keyAuthorization: "t.k" }, 1_000);
  const lease = (await store.lease(1_000))!;
  clock.move(1_000);
  expect([await store.answer("t"), await store.answer()]).toEqual([undefined, undefined]);
  expect(await store.lease(1_000)).toBeDefined();
  await lease.failed(5_000);
  clock.move(4_999);
  expect(await store.lease(1_000)).toBeUndefined();
  clock.move(1);
  expect(await store.lease(1_000)).toMatchObject({ failures: 1 });
});

test("nodes share them in Redis: the failures count for all, and only who has the lease gives it back", async () => {
  const [one, two] = [inRedis(), inRedis()];
  const late = (await one.lease(30))!;
  await until(async () => (await two.lease(60_000)) !== undefined);
  await late.done();
  await late.failed(1);
  expect(await one.lease(60_000)).toBeUndefined();

  const third = inRedis({ domain: "third.example" });
  const lease = (await third.lease(60_000))!;
  await lease.failed(20);
  await until(async () => {
    const next = await third.lease(60_000);
    expect(next === undefined || next.failures === 1).toBe(true);
    return next !== undefined;
  });
});

test("in Redis failures are forgotten when somebody starts, but not who is at it", async () => {
  const store = inRedis();
  await (await store.lease(60_000))!.failed(60_000);
  expect(await store.lease(60_000)).toBeUndefined();
  await store.forgive(20);
  await until(async () => {
    const next = await store.lease(60_000);
    expect(next === undefined || next.failures === 0).toBe(true);
    return next !== undefined;
  });
  await store.forgive(0);
  expect(await store.lease(60_000)).toBeUndefined();
});

test("Redis never sees a key, and nobody without the secret does", async () => {
  await inRedis().saveCertificate(certificate);
  await inRedis().saveAccount({ url: "u", key: "very secret" });
  const keys = await redis.client.keys(`${prefix}*`);
  expect(keys).toHaveLength(2);
  for (const key of keys) {
    expect(key.startsWith(`${prefix}{acme}:ca.example:14000:chat.example:`)).toBe(true);
    expect(await redis.client.get(key)).not.toMatch(/PRIVATE|very secret/);
  }
  const stranger = inRedis({ secret: "another" });
  expect([await stranger.certificate(), await stranger.account()]).toEqual([undefined, undefined]);
  expect(warnings).toHaveLength(2);
});

test("what is moved to another place in Redis, cut or changed does not open", async () => {
  const store = inRedis();
  await store.saveAccount({ url: "u", key: "k" });
  const [key] = (await redis.client.keys(`${prefix}*`)) as [string];
  const sealed = (await redis.client.get(key))!;
  await redis.client.set(key.replace("account", "certificate"), sealed);
  expect(await store.certificate()).toBeUndefined();
  const first = sealed.startsWith("A") ? "B" : "A";
  const last = sealed.endsWith("AAAA") ? "BBBB" : "AAAA";
  for (const broken of ["", sealed.slice(0, 20), sealed.slice(0, -4) + last, first + sealed.slice(1)]) {
    await redis.client.set(key, broken);
    expect(await store.account(), broken).toBeUndefined();
  }
});

test("files are for us alone to read, and one that is broken is said and does not count", async () => {
  await inDirectory().saveCertificate(certificate);
  const folder = join(root, "ca.example_14000");
  expect(readdirSync(folder)).toEqual(["chat.example.pem"]);
  const file = join(folder, "chat.example.pem");
  expect([statSync(folder).mode & 0o777, statSync(file).mode & 0o777]).toEqual([0o700, 0o600]);
  expect(readFileSync(file, "utf8")).toBe(certificate.key + certificate.chain);
  writeFileSync(file, "half");
  writeFileSync(join(folder, "account.json"), '{"url":');
  expect(await inDirectory().certificate()).toBeUndefined();
  expect(await inDirectory().account()).toBeUndefined();
  expect(warnings).toHaveLength(2);
});
