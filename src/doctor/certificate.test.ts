import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { loadConfig } from "../config/load.ts";
import { type Certificate, certificateOf } from "../tls/certificate.ts";
import { createSelfSigned } from "../tls/self-signed.ts";
import { type Signed, sign } from "../tls/test-authority.ts";
import { checkCertificate, type CertificateParts, judgeCertificate } from "./certificate.ts";

const DAY = 86_400_000;
const NOW = Date.now();

let root: Signed;
let between: Signed;
let own: Signed;
beforeAll(async () => {
  root = await sign({ name: "The Root", now: NOW });
  between = await sign({ name: "Between", by: root, now: NOW });
  own = await sign({ name: "Own", by: between, host: "chat.example.org", now: NOW });
});

const certificate = (...chain: Signed[]): Certificate =>
  certificateOf(chain.map(({ pem }) => pem).join(""), chain[0]!.key);
const judge = (judged: Certificate, { domain = "chat.example.org", now = NOW, roots = [root.pem] } = {}) =>
  judgeCertificate(judged, { domain, now, roots, advice: "renew it" });

describe("a certificate of an authority", () => {
  test("with its whole chain is fine", () => {
    expect(judge(certificate(own, between))).toEqual([
      {
        check: "certificate",
        level: "fine",
        text: `for chat.example.org, until ${new Date(NOW + 60 * DAY).toISOString().slice(0, 10)}`,
      },
    ]);
    // Some send the root along.
    expect(judge(certificate(own, between, root))).toMatchObject([{ level: "fine" }]);
  });

  test("without the certificates of its authority", () => {
    expect(judge(certificate(own))).toMatchObject([
      {
        level: "wrong",
        text: expect.stringContaining("missing"),
        advice: expect.stringContaining("fullchain.pem"),
      },
    ]);
  });

  test("with certificates of another authority", async () => {
    const other = await sign({ name: "Other", by: await sign({ name: "Another Root" }) });
    expect(judge(certificate(own, other))).toMatchObject([
      { level: "wrong", text: expect.stringContaining("certificate 2 of its chain") },
    ]);
  });

  test("of an authority that is not known here", () => {
    expect(judge(certificate(own, between), { roots: [] })).toMatchObject([{ level: "warning" }]);
  });

  test.each([
    [61, "wrong", "ran out on"],
    [55, "warning", "runs out on"],
    [-31, "wrong", "not valid before"],
  ])("%d days from now", (days, level, text) => {
    expect(judge(certificate(own, between), { now: NOW + days * DAY })).toMatchObject([
      { level, text: expect.stringContaining(text) },
    ]);
  });

  test("for another name", () => {
    expect(judge(certificate(own, between), { domain: "other.example.org" })).toMatchObject([
      { level: "wrong", text: expect.stringContaining("not for other.example.org") },
    ]);
  });
});

describe("what the configuration says", () => {
  const directory = (): string => {
    const made = mkdtempSync(join(tmpdir(), "chatrandom-doctor-tls-"));
    onTestFinished(() => rmSync(made, { recursive: true, force: true }));
    return made;
  };
  const check = (flags: Record<string, string>, parts: Partial<CertificateParts> = {}) => {
    const given = Object.fromEntries(Object.entries(flags).map(([name, value]) => [name, [value]]));
    return checkCertificate(loadConfig({ flags: given }).config, {
      now: NOW,
      roots: [root.pem],
      running: true,
      acme: async () => undefined,
      ...parts,
    });
  };

  test("files: those that are served, or why they cannot be", async () => {
    const place = directory();
    const [chain, key] = [join(place, "chain.pem"), join(place, "key.pem")];
    writeFileSync(chain, own.pem + between.pem);
    writeFileSync(key, own.key);
    const flags = { "https-certificate": chain, "https-key": key };
    expect(await check(flags)).toMatchObject([{ level: "fine" }]);
    expect(await check(flags, { now: NOW + 70 * DAY })).toMatchObject([{ level: "wrong" }]);
    writeFileSync(key, root.key);
    expect(await check(flags)).toMatchObject([
      {
        level: "wrong",
        text: expect.stringContaining("does not fit"),
        advice: expect.stringContaining("--https-key"),
      },
    ]);
    rmSync(chain);
    expect(await check(flags)).toMatchObject([
      { level: "wrong", text: expect.stringContaining("does not exist") },
    ]);
  });

  test("off: right on this machine only, or behind a proxy", async () => {
    expect(await check({ host: "127.0.0.1" })).toMatchObject([{ level: "fine" }]);
    expect(await check({ tls: "off", domain: "chat.example.org" })).toMatchObject([{ level: "fine" }]);
    expect(await check({ tls: "off" })).toMatchObject([
      { level: "warning", advice: expect.stringContaining("--tls") },
    ]);
  });

  test("self-signed: a warning always, with what becomes of it", async () => {
    const place = directory();
    const flags = { "data-dir": place };
    expect(await check(flags)).toMatchObject([
      { level: "warning", text: expect.stringContaining("first start") },
    ]);
    mkdirSync(join(place, "tls"));
    const made = await createSelfSigned(["localhost"], NOW, 20 * DAY);
    writeFileSync(join(place, "tls/self-signed.pem"), made.key + made.chain);
    expect(await check(flags)).toMatchObject([{ text: expect.stringMatching(/^self-signed, until \d{4}/) }]);
    expect(await check(flags, { now: NOW + 21 * DAY })).toMatchObject([
      { text: expect.stringContaining("made anew") },
    ]);
    expect(await check({ ...flags, domain: "chat.example.org" })).toMatchObject([
      { text: expect.stringContaining("made anew") },
    ]);
    writeFileSync(join(place, "tls/self-signed.pem"), "no certificate");
    expect(await check(flags)).toMatchObject([
      { level: "warning", text: expect.stringContaining("made anew") },
    ]);
  });

  describe("acme", () => {
    const flags = { tls: "acme", domain: "chat.example.org" };
    const got = async () => certificate(own, between);

    test("before the first start, and when nothing was got though it runs", async () => {
      expect(await check(flags, { running: false })).toMatchObject([{ level: "skipped" }]);
      expect(await check(flags)).toMatchObject([
        { level: "wrong", advice: expect.stringContaining("port 80 (http-01) or 443") },
      ]);
    });

    test("what was got, a renewal that is late, and what cannot be looked up", async () => {
      expect(await check(flags, { acme: got })).toMatchObject([{ level: "fine" }]);
      // It is valid for 90 days, so it is due 30 days before the end.
      expect(await check(flags, { acme: got, now: NOW + 33 * DAY })).toMatchObject([
        { level: "warning", text: expect.stringContaining("renewal is late") },
      ]);
      const short = async () => ({ ...certificate(own, between), from: NOW - 4 * DAY, until: NOW + 2 * DAY });
      expect(await check(flags, { acme: short })).toMatchObject([{ level: "fine" }]);
      expect(await check(flags, { acme: short, now: NOW + 0.6 * DAY })).toMatchObject([
        { level: "warning", text: expect.stringMatching(/runs out|renewal is late/) },
      ]);
      const away = () => Promise.reject(new Error("Redis is away"));
      expect(await check(flags, { acme: away })).toMatchObject([
        { level: "skipped", text: expect.stringContaining("Redis is away") },
      ]);
    });
  });
});
