import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { redisReports } from "../moderation/reports.ts";
import type { StoredReport } from "../node/contracts.ts";
import { connectRedis } from "../redis/client.ts";
import type { RedisConnection } from "../redis/client.ts";
import { PREFIX } from "../redis/keys.ts";
import { startTestRedis } from "../redis/test-server.ts";
import type { TestRedis } from "../redis/test-server.ts";
import { runCommandLine } from "./command-line.ts";

let server: TestRedis;
let redis: RedisConnection;
let home: string;
beforeAll(async () => {
  server = await startTestRedis();
  home = mkdtempSync(join(tmpdir(), "chatrandom-reports-"));
  redis = connectRedis(server.url);
  await redis.check(5_000);
});
beforeEach(() => redis.client.flushall());
afterAll(async () => {
  await redis.close();
  await server.stop();
  rmSync(home, { recursive: true, force: true });
});

async function chatrandom(...args: string[]) {
  const ended = { code: 0, stdout: "", stderr: "" };
  ended.code = await runCommandLine(["reports", ...args], {
    env: { HOME: home },
    out: (text) => void (ended.stdout += text),
    err: (text) => void (ended.stderr += text),
    completing: false,
  });
  return ended;
}

const report = (n: number, more: Partial<StoredReport> = {}): StoredReport => ({
  pair: `pair ${n}`,
  reason: "spam",
  reporterDevice: `reporter ${n}`,
  reportedDevice: "the same device",
  at: Date.UTC(2030, 0, 1, 12, n),
  ...more,
});

async function store(...all: StoredReport[]): Promise<void> {
  for (const one of all) await redisReports(redis, PREFIX).add(one);
}

test("shows reports newest first, and how often the same browser was reported", async () => {
  await store(
    report(1),
    report(2, { reason: "other", reportedDevice: "another one", details: "sells \u009b31mthings" }),
    report(3),
    report(3),
  );
  const { code, stdout, stderr } = await chatrandom("--redis", server.url);
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toBe(`\
WHEN               REASON  REPORTED  TIMES  BY        DETAILS
2030-01-01 12:03Z  spam    the same      2  reporter  -
2030-01-01 12:02Z  other   another       1  reporter  sells \\u009b31mthings
2030-01-01 12:01Z  spam    the same      2  reporter  -
`);
});

test("as JSON, so many at the most", async () => {
  await store(report(1), report(2), report(3));
  const { code, stdout } = await chatrandom("--redis", server.url, "--most", "2", "--json");
  expect([code, JSON.parse(stdout)]).toEqual([0, [report(3), report(2)]]);
});

test("none: says so", async () => {
  expect(await chatrandom("--redis", server.url)).toMatchObject({
    code: 0,
    stdout: "nobody has reported anything\n",
  });
});

test.each([
  [["--most", "0"], "--most wants a whole number"],
  [["--most", "some"], "--most wants a whole number"],
  [["--redis", "redis://127.0.0.1", "--data-dir", "/tmp"], "give one of them"],
  [["--limit", "3"], "unknown option --limit"],
])("wrong use: %s", async (args, message) => {
  expect(await chatrandom(...args)).toMatchObject({ code: 2, stderr: expect.stringContaining(message) });
});
