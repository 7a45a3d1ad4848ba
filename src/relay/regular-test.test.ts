import { describe, expect, test, vi } from "vitest";
import { StillClock } from "../still-clock.ts";
import type { Tried } from "./self-test.ts";
import { adviceOn, testRegularly } from "./regular-test.ts";
import { until } from "../test-until.ts";

const HOUR = 3_600_000;
const SERVERS = [{ urls: ["turn:relay.example"], username: "anna", credential: "hush" }];
const works: Tried = {
  url: "turn:relay.example",
  kind: "turn",
  transport: "udp",
  outcome: "works",
  ms: 12.4,
};
const fails: Tried = { ...works, outcome: "fails", problem: "it does not answer", reason: "no_answer" };
const limited: Tried = { ...works, outcome: "limited", problem: "but not for all", reason: "forbidden_peer" };

/** Regular tests that end as they are told, one after the other and the last one again and again. */
function regularly(...results: Tried[][]) {
  const clock = new StillClock();
  const log = { info: vi.fn(), warn: vi.fn(), error: vi.fn() };
  let tests = 0;
  const relay = testRegularly({
    servers: () => SERVERS,
    clock,
    wallClock: () => Date.UTC(2026, 0, 1),
    log,
    test: async (servers) => {
      expect(servers).toBe(SERVERS);
      return results[Math.min(tests++, results.length - 1)]!;
    },
  });
  /** Waits until so many tests have ended. */
  const ended = (count: number) => until(() => tests === count && clock.pending === 1);
  return { relay, clock, log, ended, tests: () => tests };
}

test("it is tested at start and every twelve hours", async () => {
  const { relay, clock, log, ended, tests } = regularly([works]);
  expect(relay.health).toEqual({ servers: [] });
  await ended(1);
  expect(relay.health).toEqual({
    ok: true,
    tested: "2026-01-01T00:00:00.000Z",
    servers: [{ url: "turn:relay.example", outcome: "works", ms: 12 }],
  });
  clock.move(12 * HOUR - 1);
  expect(tests()).toBe(1);
  clock.move(1);
  await ended(2);
  expect(log.info).toHaveBeenCalledExactlyOnceWith({ servers: 1 }, "the relay works");
  relay.stop();
  expect(clock.pending).toBe(0);
});

test("a failure is an error in the log, once, with what to change, and is tried again soon", async () => {
  const { relay, clock, log, ended } = regularly([fails], [fails], [fails], [works]);
  await ended(1);
  // What has just started has not failed.
  expect(relay.health).toEqual({ servers: [] });
  expect(log.error).not.toHaveBeenCalled();
  clock.move(5_000);
  await ended(2);
  expect(relay.health).toMatchObject({ ok: false, servers: [{ problem: "it does not answer" }] });
  clock.move(HOUR / 6);
  await ended(3);
  expect(log.error).toHaveBeenCalledExactlyOnceWith(
    {
      url: "turn:relay.example",
      problem: "it does not answer",
      advice: expect.stringContaining("turn.port"),
    },
    expect.stringContaining("some calls will not connect"),
  );
  clock.move(HOUR / 6);
  await ended(4);
  expect(relay.health).toMatchObject({ ok: true });
  expect(log.info).toHaveBeenCalledExactlyOnceWith({ servers: 1 }, "the relay works again");
});

test("a relay that serves some only is a warning, and fine otherwise", async () => {
  const { relay, log, ended } = regularly([limited]);
  await ended(1);
  expect(relay.health).toMatchObject({ ok: true, servers: [{ problem: "but not for all" }] });
  expect(log.warn).toHaveBeenCalledOnce();
  expect(log.error).not.toHaveBeenCalled();
});

test("no credential is in the log or in the health", async () => {
  const { relay, clock, log, ended } = regularly([fails]);
  await ended(1);
  clock.move(5_000);
  await ended(2);
  expect(JSON.stringify([relay.health, log.error.mock.calls])).not.toMatch(/hush|anna/);
});

test("a failure that does not last is none", async () => {
  const { relay, clock, log, ended } = regularly([fails], [works]);
  await ended(1);
  clock.move(5_000);
  await ended(2);
  expect(relay.health).toMatchObject({ ok: true });
  expect(log.error).not.toHaveBeenCalled();
  expect(log.info).toHaveBeenCalledExactlyOnceWith({ servers: 1 }, "the relay works");
});

test("one that has moved is tried anew, once", async () => {
  const clock = new StillClock();
  let where = "192.168.1.20:3478";
  const answers: (() => void)[] = [];
  const relay = testRegularly({
    servers: () => SERVERS,
    whereabouts: () => where,
    clock,
    wallClock: () => 0,
    log: { info: vi.fn(), warn: vi.fn(), error: vi.fn() },
    test: () => new Promise((resolve) => answers.push(() => resolve([works]))),
  });
  /** The last try has ended: it is the move that is waited for, and the next time. */
  const ended = () => until(() => clock.pending === 2);
  clock.move(10_000);
  expect(answers).toHaveLength(1);
  where = "8.8.4.4:3478";
  // One after the other.
  clock.move(10_000);
  expect(answers).toHaveLength(1);
  answers[0]!();
  await ended();
  clock.move(10_000);
  expect(answers).toHaveLength(2);
  answers[1]!();
  await ended();
  clock.move(12 * HOUR - 1);
  expect(answers).toHaveLength(2);
  clock.move(1);
  expect(answers).toHaveLength(3);
  relay.stop();
  expect(clock.pending).toBe(0);
});

describe("behind a router", () => {
  const OUTSIDE = "turn:192.0.2.9:3478?transport=udp";
  const INSIDE = "turn:10.0.0.5:3478?transport=udp";

  /** The health after a test in which the two ways to the relay went as told. */
  async function healthWith(outside: Partial<Tried>, inside: Partial<Tried>) {
    const clock = new StillClock();
    const asked: string[][] = [];
    const relay = testRegularly({
      servers: () => [{ urls: [OUTSIDE] }, { urls: ["stun:elsewhere.example:3478"] }],
      nat: () => ({ outside: "192.0.2.9", inside: "10.0.0.5" }),
      clock,
      wallClock: () => 0,
      log: { info: vi.fn(), warn: vi.fn(), error: vi.fn() },
      test: async (servers) => {
        const urls = servers.flatMap(({ urls }) => urls);
        asked.push(urls);
        return urls.map((url) => ({
          ...works,
          url,
          ...(url === OUTSIDE ? outside : {}),
          ...(url === INSIDE ? inside : {}),
        }));
      },
    });
    // The second time tells, if the first one failed.
    await until(() => {
      clock.move(5_000);
      return relay.health?.ok !== undefined;
    }, 50);
    expect(asked.slice(0, 2)).toEqual([[OUTSIDE, "stun:elsewhere.example:3478"], [INSIDE]]);
    relay.stop();
    return relay.health!;
  }

  test("one that does not lead back to us is no failure of the relay", async () => {
    const health = await healthWith({ outcome: "fails", reason: "no_answer" }, {});
    expect(health).toMatchObject({
      ok: true,
      servers: [{ url: OUTSIDE, outcome: "limited", problem: expect.stringContaining("routers") }, {}],
    });
    // What it is called inside is nobody's business.
    expect(JSON.stringify(health)).not.toContain("10.0.0.5");
  });

  test("what fails inside, or is refused by the relay itself, does count", async () => {
    const inside = await healthWith(
      { outcome: "fails", reason: "no_answer" },
      { outcome: "fails", reason: "refused", problem: "nothing listens there" },
    );
    expect(inside).toMatchObject({
      ok: false,
      servers: [{ url: OUTSIDE, problem: "nothing listens there" }, {}],
    });
    const refused = await healthWith({ outcome: "fails", reason: "unauthorised", problem: "it refuses" }, {});
    expect(refused).toMatchObject({ ok: false, servers: [{ problem: "it refuses" }, {}] });
  });

  test("one that leads back is simply fine", async () => {
    expect(await healthWith({}, {})).toMatchObject({ ok: true, servers: [{ outcome: "works" }, {}] });
  });
});

test("without servers there is nothing to test", () => {
  const clock = new StillClock();
  const test = vi.fn();
  const log = { info: vi.fn(), warn: vi.fn(), error: vi.fn() };
  const relay = testRegularly({ servers: () => [], clock, wallClock: () => 0, log, test });
  expect([relay.health, clock.pending]).toEqual([undefined, 0]);
  expect(test).not.toHaveBeenCalled();
});

test("of a quota that is used up every option is named that may be it", () => {
  for (const option of ["session_allocations", "max_allocations", "total_bandwidth", "min_port", "max_port"])
    expect(adviceOn("quota")).toContain(`turn.${option}`);
});
