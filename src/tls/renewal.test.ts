import { beforeAll, beforeEach, expect, test } from "vitest";
import { StillClock } from "../still-clock.ts";
import type { Certificate, CertificateSource } from "./certificate.ts";
import type { CertificateStore, RenewalLease } from "./certificate-store.ts";
import { dueAt, renewed, waitAfter } from "./renewal.ts";
import { createSelfSigned } from "./self-signed.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const start = Date.UTC(2030, 0, 1);

let any: Certificate;
beforeAll(async () => {
  any = await createSelfSigned(["chat.example"], start);
});

let clock: StillClock;
let kept: Certificate | undefined;
let attempts: { at: number; attempt: number }[];
/** What the authority answers next. */
let authority: () => Promise<Certificate>;
let leased: boolean;
let pausedUntil: number;
let failures: number;
let logged: string[];
let storeAway: boolean;
const now = () => start + clock.now();

beforeEach(() => {
  clock = new StillClock(0);
  kept = undefined;
  attempts = [];
  authority = async () => issued(90 * DAY_MS);
  leased = false;
  pausedUntil = 0;
  failures = 0;
  logged = [];
  storeAway = false;
});

let serial = 0;
const issued = (validFor: number): Certificate => ({
  ...any,
  fingerprint: `number ${(serial += 1)}`,
  from: now(),
  until: now() + validFor,
  selfSigned: false,
});

const lease: RenewalLease = {
  get failures() {
    return failures;
  },
  async done() {
    leased = false;
    failures = 0;
  },
  async failed(ms) {
    leased = false;
    failures += 1;
    pausedUntil = clock.now() + ms;
  },
};
const store = {
  async certificate() {
    if (storeAway) throw new Error("no store");
    return kept;
  },
  async saveCertificate(certificate: Certificate) {
    kept = certificate;
  },
  async lease() {
    if (leased || clock.now() < pausedUntil) return undefined;
    leased = true;
    return lease;
  },
  async forgive(ms: number) {
    failures = 0;
    pausedUntil = Math.min(pausedUntil, clock.now() + ms);
  },
} as unknown as CertificateStore;

/** Lets promises settle that are already decided. */
const settle = () => new Promise<void>((resolve) => void setImmediate(resolve));

async function pass(ms: number, step = MINUTE_MS): Promise<void> {
  for (let left = ms; left > 0; left -= step) {
    clock.move(Math.min(step, left));
    await settle();
  }
}

async function open(): Promise<CertificateSource> {
  const write = (_: object, message: string) => void logged.push(message);
  return renewed({
    store,
    obtain: async (attempt) => {
      attempts.push({ at: clock.now(), attempt });
      return authority();
    },
    meanwhile: { current: { ...any, fingerprint: "meanwhile" }, stop() {} },
    clock,
    wallClock: now,
    random: () => 0.5,
    log: { info: write, error: write },
  });
}

test("the first certificate is got at once; until it is there the other one is in use", async () => {
  const source = await open();
  expect(source.current.fingerprint).toBe("meanwhile");
  await pass(1);
  expect(source.current).toBe(kept);
  expect(attempts).toHaveLength(1);
});

test("one that was kept is in use from the start, and nobody is asked", async () => {
  kept = issued(90 * DAY_MS);
  const source = await open();
  expect(source.current).toBe(kept);
  await pass(DAY_MS, HOUR_MS);
  expect(attempts).toEqual([]);
});

test("it is renewed at two thirds of its time, and the old one stays in use until the new one is there", async () => {
  const first = (kept = issued(90 * DAY_MS));
  const source = await open();
  let arrive: (certificate: Certificate) => void = () => {};
  authority = () => new Promise((resolve) => (arrive = resolve));
  await pass(60 * DAY_MS - 2 * HOUR_MS, HOUR_MS);
  expect(attempts).toEqual([]);
  while (attempts.length === 0) await pass(HOUR_MS, HOUR_MS);
  expect(now() - dueAt(first)).toBeLessThanOrEqual(2 * HOUR_MS);
  expect(source.current).toBe(first);
  arrive(issued(90 * DAY_MS));
  await settle();
  expect(source.current).not.toBe(first);
  expect(source.current).toBe(kept);
});

test.each([
  ["a day", DAY_MS],
  ["an hour", HOUR_MS],
  ["half a minute", 30 * SECOND_MS],
])("one that is valid for %s is renewed when two thirds are over, each time", async (_, lifetime) => {
  authority = async () => issued(lifetime);
  await open();
  await pass(3 * lifetime, lifetime / 300);
  expect(attempts.map(({ at }) => at / lifetime)).toEqual(
    [0, 1, 2, 3, 4].map((count) => expect.closeTo((count * 2) / 3, 1)),
  );
});

test.each([
  ["an hour", HOUR_MS],
  ["half a minute", 30 * SECOND_MS],
])("one that is valid for %s outlives an authority that is away for a third of that", async (_, lifetime) => {
  const first = (kept = issued(lifetime));
  const source = await open();
  authority = async () => {
    throw new Error("away");
  };
  await pass(0.95 * lifetime, lifetime / 300);
  expect(attempts.length).toBeGreaterThan(5);
  expect(attempts.length).toBeLessThan(15);
  expect(source.current).toBe(first);
  authority = async () => issued(lifetime);
  await pass(0.05 * lifetime, lifetime / 300);
  expect(source.current).not.toBe(first);
  expect(source.current).toBe(kept);
});

test("one that ran out in use stays until the next is there, and its time still rules the waits", async () => {
  const first = (kept = issued(30 * SECOND_MS));
  const source = await open();
  authority = async () => {
    throw new Error("away");
  };
  await pass(HOUR_MS, SECOND_MS);
  expect(source.current).toBe(first);
  authority = async () => issued(30 * SECOND_MS);
  await pass(3 * SECOND_MS, 100);
  expect(source.current).not.toBe(first);
});

test("one that is due when it comes is said and not asked for at once again", async () => {
  authority = async () => ({ ...issued(90 * DAY_MS), from: now() - 80 * DAY_MS, until: now() + 10 * DAY_MS });
  const source = await open();
  await pass(MINUTE_MS / 2, SECOND_MS);
  expect(attempts).toHaveLength(1);
  expect(source.current).toBe(kept);
  expect(logged).toContain("the certificate could not be renewed");
});

test.each([
  [90 * DAY_MS, 60 * DAY_MS],
  [6 * DAY_MS, 4 * DAY_MS],
])("two thirds of %i ms are %i", (validFor, due) => {
  expect(dueAt({ from: 1_000, until: 1_000 + validFor })).toBe(1_000 + due);
});

test("after a failure the waits double up to half a day, with a spread", () => {
  const minutes = [1, 2, 3, 4, 9, 10, 11, 50].map((count) => waitAfter(count, 0.5, 90 * DAY_MS) / MINUTE_MS);
  expect(minutes).toEqual([1, 2, 4, 8, 256, 512, 720, 720]);
  expect([0, 1].map((random) => waitAfter(1, random, 90 * DAY_MS) / MINUTE_MS)).toEqual([0.75, 1.25]);
});

test("an authority that says no is asked again after the back-off, and each time it is said", async () => {
  authority = async () => {
    throw new Error("DNS problem:\n  no such name");
  };
  const source = await open();
  await pass(16 * MINUTE_MS, 1_000);
  expect(attempts.map(({ at, attempt }) => [at / MINUTE_MS, attempt])).toEqual([
    [expect.closeTo(0, 0), 0],
    [expect.closeTo(1, 0), 1],
    [expect.closeTo(3, 0), 2],
    [expect.closeTo(7, 0), 3],
    [expect.closeTo(15, 0), 4],
  ]);
  expect(logged).toEqual(Array(5).fill("no certificate yet"));
  authority = async () => issued(90 * DAY_MS);
  await pass(20 * MINUTE_MS);
  expect(source.current).toBe(kept);
  expect(failures).toBe(0);
});

test("a renewal that fails leaves the old one in use", async () => {
  const first = (kept = issued(90 * DAY_MS));
  const source = await open();
  authority = async () => {
    throw new Error("no");
  };
  await pass(62 * DAY_MS, HOUR_MS);
  expect(attempts.length).toBeGreaterThan(3);
  expect(attempts.length).toBeLessThan(20);
  expect(source.current).toBe(first);
  expect(logged).toContain("the certificate could not be renewed");
});

test("an authority that never answers is given up, and asked again", async () => {
  authority = () => new Promise(() => {});
  await open();
  await pass(9 * MINUTE_MS);
  expect([attempts.length, logged]).toEqual([1, []]);
  await pass(3 * MINUTE_MS);
  expect([attempts.length, logged]).toEqual([2, ["no certificate yet"]]);
});

test.each([
  [DAY_MS, 12 * MINUTE_MS],
  [30 * SECOND_MS, 35 * SECOND_MS],
])(
  "of a certificate that is valid for %i ms an attempt that gets no answer is given up after %i ms at most",
  async (lifetime, most) => {
    kept = issued(lifetime);
    authority = () => new Promise(() => {});
    await open();
    await pass((lifetime * 2) / 3, lifetime / 300);
    await pass(SECOND_MS, SECOND_MS);
    expect([attempts.length, logged]).toEqual([1, ["the certificate is in use"]]);
    await pass(most, SECOND_MS);
    expect(attempts.length).toBe(2);
  },
);

test("while another node is at it this one waits, and takes what the other got", async () => {
  leased = true;
  const source = await open();
  await pass(MINUTE_MS, 5_000);
  expect(attempts).toEqual([]);
  kept = issued(90 * DAY_MS);
  leased = false;
  await pass(MINUTE_MS, 5_000);
  expect(source.current).toBe(kept);
  expect(attempts).toEqual([]);
});

test("what another node has renewed is in use here within the hour", async () => {
  const first = (kept = issued(90 * DAY_MS));
  const source = await open();
  await pass(DAY_MS, HOUR_MS);
  kept = issued(90 * DAY_MS);
  await pass(HOUR_MS);
  expect(source.current).toBe(kept);
  expect(source.current).not.toBe(first);
});

test("what another node has renewed of a short life is in use here at once", async () => {
  kept = issued(30 * SECOND_MS);
  const source = await open();
  leased = true;
  await pass(21 * SECOND_MS, 100);
  kept = issued(30 * SECOND_MS);
  await pass(SECOND_MS, 100);
  expect(source.current).toBe(kept);
  expect(attempts).toEqual([]);
});

test("a store that is away is said and asked again; what is in use stays", async () => {
  const first = (kept = issued(90 * DAY_MS));
  const source = await open();
  storeAway = true;
  await pass(2 * HOUR_MS, 10 * MINUTE_MS);
  // Once: it is asked again every few seconds.
  expect(logged.slice(1)).toEqual(["cannot look after the certificate"]);
  expect(source.current).toBe(first);
  storeAway = false;
  kept = issued(90 * DAY_MS);
  await pass(MINUTE_MS, 5_000);
  expect(source.current).toBe(kept);
});

test("what a node that has not heard of a renewal gives back to an emptied store is replaced, not taken", async () => {
  const older = (kept = issued(90 * DAY_MS));
  const source = await open();
  await pass(59 * DAY_MS);
  const newer = (kept = issued(90 * DAY_MS));
  await pass(HOUR_MS);
  expect(source.current).toBe(newer);
  kept = older;
  await pass(HOUR_MS);
  expect([kept, source.current]).toEqual([newer, newer]);
  expect(attempts).toEqual([]);
});

test("a store that was emptied gets it back, for those who start then", async () => {
  const first = (kept = issued(90 * DAY_MS));
  const source = await open();
  kept = undefined;
  await pass(HOUR_MS);
  expect(kept).toBe(first);
  expect(source.current).toBe(first);
  expect(attempts).toEqual([]);
});

test("one that ran out while nobody served is not taken", async () => {
  kept = { ...issued(DAY_MS), until: start - DAY_MS };
  const source = await open();
  expect(source.current.fingerprint).toBe("meanwhile");
  await pass(1);
  expect(attempts).toHaveLength(1);
});

test("a start need not wait for long after failures of an earlier run", async () => {
  failures = 9;
  pausedUntil = 12 * HOUR_MS;
  await open();
  await pass(MINUTE_MS + 5 * SECOND_MS, SECOND_MS);
  expect(attempts).toEqual([{ at: expect.closeTo(MINUTE_MS, -4), attempt: 0 }]);
});

test("a stop in the middle gives the lease back and says nothing more", async () => {
  let fail: (error: Error) => void = () => {};
  authority = () => new Promise((_, reject) => (fail = reject));
  const source = await open();
  await pass(1);
  expect(leased).toBe(true);
  await source.stop();
  expect(leased).toBe(false);
  fail(new Error("too late"));
  await settle();
  await pass(DAY_MS, HOUR_MS);
  expect([attempts.length, logged]).toEqual([1, []]);
});

test("after a stop nothing is looked at any more", async () => {
  const source = await open();
  await source.stop();
  await pass(DAY_MS, HOUR_MS);
  expect([attempts, clock.pending]).toEqual([[], 0]);
});
