/** The checks of the machine: file descriptors, memory, data directory, clock, Redis. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { loadConfig } from "../config/load.ts";
import { compared, judgeClock } from "./clock.ts";
import { checkDataDir, judgeRoom } from "./data-dir.ts";
import { judgeFileDescriptors } from "./file-descriptors.ts";
import { bytes, spelled } from "./finding.ts";
import { judgeMemory } from "./memory.ts";
import { judgeRedis, measure } from "./redis.ts";

const { config } = loadConfig({ flags: { "session-max": ["1000"], "turn-max-allocations": ["400"] } });
const MB = 1024 ** 2;

describe("spelled", () => {
  test("an option has three spellings, a secret two", () => {
    expect(spelled("session.max")).toBe("session.max (--session-max, CHATRANDOM_SESSION_MAX)");
    expect(spelled("ice.credential")).toBe("ice.credential (CHATRANDOM_ICE_CREDENTIAL)");
  });

  test.each([
    [0, "0 b"],
    [1536, "1.5 kb"],
    [200 * MB, "200 mb"],
    [5 * 1024 ** 5, "5120 tb"],
  ])("%d bytes are %s", (count, text) => expect(bytes(count)).toBe(text));
});

describe("file descriptors", () => {
  const limits = (soft: string, hard: string) => `Limit  Soft Limit  Hard Limit  Units
Max open files            ${soft}                 ${hard}               files
`;
  test.each([
    ["1024", "65536", false, "fine"],
    ["1024", "unlimited", false, "fine"],
    // One that runs has raised it as far as it may.
    ["1024", "65536", true, "warning"],
    ["600", "600", false, "warning"],
    ["100", "100", false, "wrong"],
  ])("%s, at most %s, running %s: %s", (soft, hard, running, level) => {
    expect(judgeFileDescriptors(limits(soft, hard), config, running).level).toBe(level);
  });

  test("too few say how many visitors they are enough for, and what to change", () => {
    const { text, advice } = judgeFileDescriptors(limits("600", "600"), config, false);
    expect(text).toContain("enough for 450 of the 1000 visitors");
    expect(advice).toMatch(/LimitNOFILE.*--session-max/);
  });

  test("the relay has its own, two for each port", () => {
    const many = loadConfig({ flags: { "session-max": ["1000"], "turn-max-allocations": ["4000"] } }).config;
    expect(judgeFileDescriptors(limits("2000", "2000"), many, false)).toMatchObject({
      level: "warning",
      advice: expect.stringContaining("--turn-max-allocations"),
    });
    const without = loadConfig({ flags: { "session-max": ["1000"], "turn-enabled": ["false"] } }).config;
    expect(judgeFileDescriptors(limits("2000", "2000"), without, false).level).toBe("fine");
  });

  test("a system that does not tell", () =>
    expect(judgeFileDescriptors(undefined, config, false).level).toBe("skipped"));
});

describe("memory", () => {
  const total = 1024 * MB;
  test.each([
    [{ total, available: 500 * MB }, 1, "fine"],
    [{ total, available: 500 * MB }, 8, "warning"],
    // They run already, and have theirs.
    [{ total, available: 80 * MB }, 0, "fine"],
    [{ total, available: 20 * MB }, 0, "wrong"],
    // The embedded Redis may take 256 MB.
    [{ total: 200 * MB, available: 150 * MB }, 1, "warning"],
  ])("%o for %d nodes: %s", (memory, nodes, level) => {
    expect(judgeMemory(memory, config, nodes, "serve").level).toBe(level);
  });

  test("a node of a cluster has no Redis to feed", () => {
    expect(judgeMemory({ total: 200 * MB, available: 150 * MB }, config, 1, "join").level).toBe("fine");
  });
});

describe("data directory", () => {
  const directory = (): string => {
    const made = mkdtempSync(join(tmpdir(), "chatrandom-doctor-"));
    onTestFinished(() => rmSync(made, { recursive: true, force: true }));
    return made;
  };

  test("one that is there, or can be made", () => {
    const there = directory();
    const roomy = () => 5_000 * MB;
    expect(checkDataDir(there, roomy)).toMatchObject({ level: "fine", text: expect.stringContaining(there) });
    const missing = join(there, "a/b");
    expect(checkDataDir(missing, roomy)).toMatchObject({
      level: "fine",
      text: expect.stringContaining("which will be made"),
    });
  });

  test("a file, and a place that nobody can write to, not even root", () => {
    const file = join(directory(), "file");
    writeFileSync(file, "");
    expect(checkDataDir(file)).toMatchObject({ level: "wrong", text: `${file} is a file` });
    expect(checkDataDir("/proc/chatrandom")).toMatchObject({
      level: "wrong",
      advice: expect.stringContaining("--data-dir"),
    });
  });

  test.each([
    [5000 * MB, "fine"],
    [500 * MB, "warning"],
    [50 * MB, "wrong"],
  ])("%d bytes free: %s", (free, level) => expect(judgeRoom("/data", free).level).toBe(level));
});

describe("clock", () => {
  const at = (ahead: number, granularity = 0) =>
    compared({ whose: "Redis", addresses: ["10.0.0.9"] }, { at: 1e12 + ahead, granularity }, 1e12, 1e12);

  test.each([
    [0, "fine"],
    [1_900, "fine"],
    [-10_000, "warning"],
    [60_000, "wrong"],
    [-60_000, "wrong"],
  ])("%d ms off: %s", (ahead, level) => expect(judgeClock([at(0), at(ahead)], []).level).toBe(level));

  test("which of them is off, in which direction, and by how much", () => {
    expect(judgeClock([at(60_000)], []).text).toBe("this machine's is 60 s behind that of Redis");
    expect(judgeClock([at(-60_000)], []).text).toBe("this machine's is 60 s ahead of that of Redis");
  });

  test("what is only uncertain is no fault: a header tells whole seconds, and an answer takes its time", () => {
    // The header says 7 s, but may have been written any time from 0 to 8 s, and up to 7,999 it says 7.
    const header = compared(
      { whose: "the page", addresses: ["8.8.4.4"] },
      { at: 1e12 + 7_000, granularity: 1_000 },
      1e12,
      1e12 + 8_000,
    );
    expect(judgeClock([header], []).level).toBe("fine");
    expect(judgeClock([at(-1_000, 1_000)], []).level).toBe("fine");
  });

  test("this machine's own, told by its Redis or its page, is no other", () => {
    const told = (...addresses: string[]) => ({ whose: "it", addresses, ahead: 0, uncertain: 0 });
    const [socket, loopback, lan, other] = [
      told(),
      told("127.0.0.1"),
      told("10.0.0.9", "192.168.1.20"),
      told("10.0.0.9"),
    ];
    for (const own of [[], [socket], [loopback], [lan], [socket, loopback, lan]])
      expect(judgeClock(own, ["192.168.1.20"])).toMatchObject({
        level: "skipped",
        text: "no other machine's clock was seen",
      });
    expect(judgeClock([socket, { ...other, whose: "Redis" }], ["192.168.1.20"])).toMatchObject({
      level: "fine",
      text: "agrees with that of Redis",
    });
  });
});

describe("redis", () => {
  const info = (lines: Record<string, string | number>) =>
    Object.entries({ redis_version: "7.2.4", ...lines })
      .map(([name, value]) => `${name}:${value}\r\n`)
      .join("");
  const judge = (lines: Record<string, string | number>, latencies = [0.1, 0.2, 9]) =>
    judgeRedis({ info: info(lines), latencies }, "redis://***@10.0.0.1", false);

  test("version and latency", () => {
    expect(judge({})).toEqual([
      {
        check: "redis",
        level: "fine",
        text: "Redis 7.2.4 at redis://***@10.0.0.1 answers in 0.2 ms, at most 9 ms",
      },
    ]);
    expect(judge({ valkey_version: "8.1.0" })[0]!.text).toContain("Valkey 8.1.0");
  });

  test("a slow one", () => {
    expect(judge({}, [30, 40, 50])).toMatchObject([
      { level: "warning", advice: expect.stringContaining("--redis") },
    ]);
  });

  test("one that is nearly full, and one that throws away what it was given", () => {
    const full = { maxmemory: 1000, used_memory: 950, maxmemory_policy: "noeviction" };
    expect(judge(full)).toMatchObject([
      { level: "fine" },
      { level: "wrong", text: expect.stringContaining("95 %") },
    ]);
    const evicting = { maxmemory: 1000, used_memory: 10, maxmemory_policy: "allkeys-lru" };
    expect(judge(evicting)).toMatchObject([
      { level: "fine" },
      { level: "wrong", advice: expect.stringContaining("noeviction") },
    ]);
    expect(judge({ maxmemory: 0, used_memory: 10, maxmemory_policy: "allkeys-lru" })).toHaveLength(1);
  });

  test("what is asked is timed", async () => {
    let now = 0;
    const redis = {
      ping: vi.fn(async () => (now += 3)),
      time: async () => [1_700_000_000, 500_000],
      info: async () => "redis_version:7.2.4",
    };
    const measured = await measure(
      redis,
      () => now,
      () => 42,
    );
    expect(measured).toMatchObject({ time: 1_700_000_000_500, asked: 42, answered: 42 });
    expect(new Set(measured.latencies)).toEqual(new Set([3]));
  });
});
