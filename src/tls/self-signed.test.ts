import { X509Certificate } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { StillClock } from "../still-clock.ts";
import type { CertificateSource } from "./certificate.ts";
import { createSelfSigned, selfSigned } from "./self-signed.ts";
import { until } from "../test-until.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const start = Date.UTC(2030, 0, 1);
let root: string;
let clock: StillClock;
/** Milliseconds since the Unix epoch. */
let wall: number;
let logged: string[];
const sources: CertificateSource[] = [];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "chatrandom-tls-"));
  clock = new StillClock(0);
  wall = start;
  logged = [];
});
afterEach(() => {
  for (const source of sources.splice(0)) void source.stop();
  rmSync(root, { recursive: true });
});

const file = () => join(root, "tls/self-signed.pem");

async function open(names = ["localhost"], required: string[] = []): Promise<CertificateSource> {
  const log = (_: object, message: string) => void logged.push(message);
  const source = await selfSigned({
    directory: join(root, "tls"),
    names: () => names,
    required,
    clock,
    wallClock: () => wall,
    log: { info: log, warn: log },
  });
  sources.push(source);
  return source;
}

test("it is made once and kept, for us alone to read", async () => {
  const { current } = await open();
  expect((await open()).current.fingerprint).toBe(current.fingerprint);
  expect(logged).toEqual(["made a self-signed certificate"]);
  expect(statSync(file()).mode & 0o777).toBe(0o600);
  expect(statSync(join(root, "tls")).mode & 0o777).toBe(0o700);
  expect(readdirSync(join(root, "tls"))).toEqual(["self-signed.pem"]);
});

test("workers that start at once, and later renew, end up with the same one", async () => {
  const workers = await Promise.all([open(), open(), open()]);
  const shown = () => new Set(workers.map(({ current }) => current.fingerprint));
  expect(shown().size).toBe(1);
  const [first] = shown();
  expect(readdirSync(join(root, "tls"))).toEqual(["self-signed.pem"]);
  wall += 710 * DAY_MS;
  clock.move(HOUR_MS);
  await until(() => !shown().has(first!));
  expect(shown().size).toBe(1);
});

test("other addresses of the machine do not change what people have accepted, another domain does", async () => {
  const { current } = await open(["localhost", "192.168.1.20"]);
  expect((await open(["localhost", "10.0.0.7"])).current.fingerprint).toBe(current.fingerprint);
  const other = (await open(["chat.example", "localhost"], ["chat.example"])).current;
  expect(other.fingerprint).not.toBe(current.fingerprint);
  expect(other.names).toEqual(["chat.example", "localhost"]);
});

test("it is renewed before it runs out, without a restart, and the next start finds the new one", async () => {
  const source = await open();
  const first = source.current;
  wall = first.until - 31 * DAY_MS;
  clock.move(HOUR_MS);
  expect(source.current.fingerprint).toBe(first.fingerprint);
  wall = first.until - 29 * DAY_MS;
  clock.move(HOUR_MS);
  await until(() => source.current.fingerprint !== first.fingerprint);
  expect(source.current.until).toBeGreaterThan(first.until + 600 * DAY_MS);
  expect(readFileSync(file(), "utf8")).toContain(source.current.chain.trim());
});

test("one that ran out while nobody served is made anew", async () => {
  const { current } = await open();
  wall = current.until + DAY_MS;
  const later = (await open()).current;
  expect(later.fingerprint).not.toBe(current.fingerprint);
});

test("a file that is broken is replaced, and that is said", async () => {
  await open();
  writeFileSync(file(), "half");
  const { current } = await open();
  expect(logged).toContain("making a new certificate");
  expect(readFileSync(file(), "utf8")).toContain(current.key);
});

test("a renewal that cannot be written is said, the old one stays in use, and it is tried again", async () => {
  const source = await open();
  const first = source.current;
  rmSync(join(root, "tls"), { recursive: true });
  writeFileSync(join(root, "tls"), "in the way");
  wall = first.until - 20 * DAY_MS;
  clock.move(HOUR_MS);
  await until(() => logged.includes("cannot renew the self-signed certificate"));
  expect(source.current).toBe(first);
  rmSync(join(root, "tls"));
  clock.move(HOUR_MS);
  await until(() => source.current !== first);
  expect(existsSync(file())).toBe(true);
});

test("it is of the kind that browsers take: P-256, for servers, not an authority, at most 825 days", async () => {
  const { chain, from, until } = await createSelfSigned(["localhost"], start);
  const certificate = new X509Certificate(chain);
  expect(certificate.publicKey.asymmetricKeyDetails).toMatchObject({ namedCurve: "prime256v1" });
  expect(certificate.ca).toBe(false);
  expect(certificate.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1"]);
  expect(until - from).toBeLessThan(825 * DAY_MS);
  expect(certificate.serialNumber).toMatch(/^01[0-9A-F]{30}$/);
});

test("a place where it cannot be kept is told in one line", async () => {
  writeFileSync(join(root, "tls"), "in the way");
  await expect(open()).rejects.toThrow(
    expect.objectContaining({
      name: "Failure",
      message: `cannot keep a certificate in ${root}/tls (EEXIST)`,
    }),
  );
});
