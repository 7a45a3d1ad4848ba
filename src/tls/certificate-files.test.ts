import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { StillClock } from "../still-clock.ts";
import { certificateFiles } from "./certificate-files.ts";
import type { Certificate, CertificateSource } from "./certificate.ts";
import { createSelfSigned } from "./self-signed.ts";
import { until } from "../test-until.ts";

/** Whether the process has no file descriptor left to read with. */
const crowded = vi.hoisted(() => ({ now: false }));
vi.mock("node:fs/promises", async (load) => {
  const real = await load<typeof import("node:fs/promises")>();
  const readFile = (file: string, encoding: "utf8") =>
    crowded.now
      ? Promise.reject(Object.assign(new Error("too many"), { code: "EMFILE" }))
      : real.readFile(file, encoding);
  return { ...real, readFile };
});

let first: Certificate;
let second: Certificate;
beforeAll(async () => {
  first = await createSelfSigned(["one.example"], Date.now());
  second = await createSelfSigned(["two.example"], Date.now());
});

let root: string;
let clock: StillClock;
let logged: { level: string; what: { reason?: string }; message: string }[];
let source: CertificateSource | undefined;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "chatrandom-files-"));
  clock = new StillClock();
  logged = [];
});
afterEach(() => {
  void source?.stop();
  source = undefined;
  rmSync(root, { recursive: true });
});

const at = (name: string) => join(root, name);
function write({ chain, key }: Certificate, folder = ""): void {
  writeFileSync(join(root, folder, "chain.pem"), chain);
  writeFileSync(join(root, folder, "key.pem"), key);
}

async function open(certificate = at("chain.pem"), key = at("key.pem")): Promise<CertificateSource> {
  const write = (level: string) => (what: object, message: string) =>
    void logged.push({ level, what, message });
  source = await certificateFiles({
    certificate,
    key,
    clock,
    log: { info: write("info"), error: write("error") },
  });
  return source;
}

/** Looks at the files as often as it takes until the condition holds. */
const looks = (condition: () => boolean) =>
  until(() => {
    clock.move(2_000);
    return condition();
  });

test("new files are taken while serving", async () => {
  write(first);
  const source = await open();
  expect(source.current.fingerprint).toBe(first.fingerprint);
  write(second);
  await looks(() => source.current.fingerprint === second.fingerprint);
  expect(logged).toMatchObject([{ level: "info", message: "took the new certificate" }]);
});

test("so are others that a link points to from now on, as certbot and Kubernetes do it", async () => {
  for (const [folder, certificate] of [
    ["1", first],
    ["2", second],
  ] as const) {
    mkdirSync(at(folder));
    write(certificate, folder);
  }
  symlinkSync("1", at("live"));
  const source = await open(at("live/chain.pem"), at("live/key.pem"));
  symlinkSync("2", at("next"));
  renameSync(at("next"), at("live"));
  await looks(() => source.current.fingerprint === second.fingerprint);
});

test("two that are written one after the other are taken together, without a word about the time between", async () => {
  write(first);
  const source = await open();
  writeFileSync(at("chain.pem"), second.chain);
  clock.move(2_000);
  // Longer than a look takes: one that did not wait would have read them by now.
  for (let n = 0; n < 50; n += 1) await stat(at("chain.pem"));
  writeFileSync(at("key.pem"), second.key);
  await looks(() => source.current.fingerprint === second.fingerprint);
  expect(logged).toMatchObject([{ level: "info", message: "took the new certificate" }]);
});

test("one of the two alone is not taken, whatever the time between them", async () => {
  write(first);
  const source = await open();
  writeFileSync(at("chain.pem"), second.chain);
  await looks(() => logged.length > 0);
  expect(source.current.fingerprint).toBe(first.fingerprint);
  expect(logged).toMatchObject([
    { level: "error", what: { reason: expect.stringContaining("does not fit") } },
  ]);
  writeFileSync(at("key.pem"), second.key);
  await looks(() => source.current.fingerprint === second.fingerprint);
});

test.each<[string, () => void, RegExp]>([
  ["broken", () => writeFileSync(at("chain.pem"), "half a cert"), /chain\.pem\) is no certificate in PEM$/],
  ["gone", () => rmSync(at("key.pem")), /key\.pem\) does not exist$/],
])("one that is %s is said once, and the old one stays", async (_, change, reason) => {
  write(first);
  const source = await open();
  change();
  await looks(() => logged.length > 0);
  for (let n = 0; n < 20; n += 1) {
    clock.move(2_000);
    await new Promise((resolve) => void setImmediate(resolve));
  }
  expect(logged).toMatchObject([{ level: "error", what: { reason: expect.stringMatching(reason) } }]);
  expect(source.current.fingerprint).toBe(first.fingerprint);
  write(second);
  await looks(() => source.current.fingerprint === second.fingerprint);
});

test("new ones that cannot be read just now are taken when they can", async () => {
  write(first);
  const source = await open();
  crowded.now = true;
  write(second);
  await looks(() => logged.length > 0);
  crowded.now = false;
  await looks(() => source.current.fingerprint === second.fingerprint);
  expect(logged).toMatchObject([
    { level: "error", what: { reason: expect.stringContaining("cannot be read: EMFILE") } },
    { level: "info" },
  ]);
});

test.each<[string, () => void, string]>([
  [
    "the certificate is missing",
    () => rmSync(at("chain.pem")),
    "https.certificate (%/chain.pem) does not exist",
  ],
  [
    "the key is a directory",
    () => (rmSync(at("key.pem")), mkdirSync(at("key.pem"))),
    "https.key (%/key.pem) is a directory",
  ],
  [
    "the key is another's",
    () => writeFileSync(at("key.pem"), second.key),
    "https.key (%/key.pem) does not fit https.certificate (%/chain.pem): they are not of one pair",
  ],
])("at the start, %s: one line", async (_, change, message) => {
  write(first);
  change();
  await expect(open()).rejects.toThrow(
    expect.objectContaining({ name: "Failure", message: message.replaceAll("%", root) }),
  );
});

test("after a stop the files are not looked at any more", async () => {
  write(first);
  await (await open()).stop();
  expect(clock.pending).toBe(0);
});
