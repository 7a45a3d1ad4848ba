import { generateKeyPairSync } from "node:crypto";
import { beforeAll, expect, test } from "vitest";
import { type Certificate, certificateOf, isFor, runsOutSoon } from "./certificate.ts";
import { createSelfSigned } from "./self-signed.ts";

const DAY_MS = 86_400_000;
const now = Date.UTC(2030, 0, 1);
const names = ["chat.example", "*.wild.example", "127.0.0.1", "::1", "2001:db8::20"];
let certificate: Certificate;
beforeAll(async () => {
  certificate = await createSelfSigned(names, now, 90 * DAY_MS);
});

test("says what there is to know about it", () => {
  expect(certificate.names).toEqual(names);
  expect(certificate.fingerprint).toMatch(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
  expect(certificate.selfSigned).toBe(true);
  expect([certificate.from, certificate.until]).toEqual([now - DAY_MS, now + 90 * DAY_MS]);
});

test.each([
  ["chat.example", true],
  ["CHAT.example", true],
  ["any.wild.example", true],
  ["2001:db8:0::20", true],
  ["127.0.0.1", true],
  ["other.example", false],
  ["127.0.0.2", false],
])("it is for %s: %s", (name, expected) => expect(isFor(certificate, name)).toBe(expected));

test("key and certificate may stand in one text, in any order", () => {
  const both = certificate.key + certificate.chain;
  const found = certificateOf(`# mine\n${both}`, both);
  expect(found.fingerprint).toBe(certificate.fingerprint);
  // What is shown to everybody must not bring the key along.
  expect([found.chain, found.key]).toEqual([certificate.chain, certificate.key]);
});

const named = { chain: "/etc/a.pem", key: "/etc/b.pem" };
const otherKey = generateKeyPairSync("ec", {
  namedCurve: "P-256",
  privateKeyEncoding: { type: "pkcs8", format: "pem" },
  publicKeyEncoding: { type: "spki", format: "pem" },
}).privateKey;
const lockedKey = generateKeyPairSync("ec", {
  namedCurve: "P-256",
  privateKeyEncoding: { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" },
  publicKeyEncoding: { type: "spki", format: "pem" },
}).privateKey;
const weak = generateKeyPairSync("rsa", {
  modulusLength: 512,
  privateKeyEncoding: { type: "pkcs8", format: "pem" },
  publicKeyEncoding: { type: "spki", format: "pem" },
}).privateKey;

test.each<[string, () => [chain: string, key: string], string]>([
  ["no certificate", () => ["x", certificate.key], "/etc/a.pem is no certificate in PEM"],
  ["an empty file", () => ["", certificate.key], "/etc/a.pem is no certificate in PEM"],
  ["a key in its place", () => [certificate.key, certificate.key], "/etc/a.pem is no certificate in PEM"],
  ["no key", () => [certificate.chain, "x"], "/etc/b.pem is no private key in PEM"],
  [
    "a certificate in place of the key",
    () => [certificate.chain, certificate.chain],
    "/etc/b.pem is no private key in PEM",
  ],
  ["a key with a password", () => [certificate.chain, lockedKey], "/etc/b.pem is protected by a password"],
  [
    "another's key",
    () => [certificate.chain, otherKey],
    "/etc/b.pem does not fit /etc/a.pem: they are not of one pair",
  ],
  [
    "a key of another kind",
    () => [certificate.chain, weak],
    "/etc/b.pem does not fit /etc/a.pem: they are not of one pair",
  ],
])("%s is told in one line", (_, parts, message) => {
  expect(() => certificateOf(...parts(), named)).toThrow(
    expect.objectContaining({ name: "Failure", message }),
  );
});

test.each([
  [90, 8, false],
  [90, 6, true],
  [6, 2, false],
  [6, 1, true],
])("of %i days %i are left: that is soon is %s", (days, left, soon) => {
  const day = 86_400_000;
  expect(runsOutSoon({ from: 0, until: days * day }, (days - left) * day)).toBe(soon);
});

test("a chain that ends in rubbish is refused with its name, not when a visitor comes", () => {
  const broken = `${certificate.chain}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`;
  expect(() => certificateOf(broken, certificate.key, named)).toThrow(/^\/etc\/a\.pem cannot be used: /);
});
