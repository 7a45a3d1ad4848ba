import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { Finding } from "../doctor/finding.ts";
import { startTestRedis, type TestRedis } from "../redis/test-server.ts";
import { runCommandLine } from "./command-line.ts";
import { shownFindings } from "./doctor.ts";

let redis: TestRedis;
let home: string;
beforeAll(async () => {
  redis = await startTestRedis();
  home = mkdtempSync(join(tmpdir(), "chatrandom-doctor-"));
});
afterAll(async () => {
  await redis.stop();
  rmSync(home, { recursive: true, force: true });
});

async function chatrandom(args: string[], env: Record<string, string> = {}) {
  const ended = { code: 0, stdout: "", stderr: "" };
  ended.code = await runCommandLine(["doctor", ...args], {
    env: { HOME: home, ...env },
    out: (text) => void (ended.stdout += text),
    err: (text) => void (ended.stderr += text),
    completing: false,
  });
  return ended;
}

/** What was found, check by check. */
async function found(args: string[], env?: Record<string, string>) {
  const { code, stdout } = await chatrandom(["--json", ...args], env);
  const { ok, findings } = JSON.parse(stdout) as { ok: boolean; findings: Finding[] };
  const of = (check: string) => findings.filter((each) => each.check === check);
  return { code, ok, findings, of };
}

/** A port of loopback that a server uses which is none of ours. */
async function busyPort(): Promise<number> {
  const server = createServer((socket) =>
    socket
      .on("error", () => {})
      .resume()
      .end("220 mail\r\n"),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return (server.address() as AddressInfo).port;
}

describe("before anything runs", () => {
  test("nothing is wrong, nothing is made, and what could not be seen is said", async () => {
    const dataDir = join(home, "never made");
    const { code, ok, of } = await found(["--data-dir", dataDir, "--port", "0", "--turn-port", "0"]);
    expect([code, ok]).toEqual([0, true]);
    // How much room there is, is for the machine of the test to say.
    expect(of("data directory")).toMatchObject([{ text: expect.stringContaining(dataDir) }]);
    expect(of("redis")).toMatchObject([{ level: "skipped" }]);
    expect(of("page")).toMatchObject([{ level: "skipped" }]);
    expect(() => rmSync(dataDir, { recursive: true })).toThrow("ENOENT");
  });

  test("a port that something else uses is wrong: exit 1", async () => {
    const port = await busyPort();
    const { code, ok, of } = await found(["--host", "127.0.0.1", "--port", String(port)]);
    expect([code, ok]).toEqual([1, false]);
    expect(of(`port ${port} tcp`)).toMatchObject([
      { level: "wrong", advice: expect.stringContaining("CHATRANDOM_PORT") },
    ]);
  });

  test("a variable that is no option is a warning, which alone is no failure", async () => {
    const { code, of } = await found(["--port", "0", "--turn-port", "0"], { CHATRANDOM_PROT: "1" });
    expect([code, of("configuration")]).toMatchObject([
      0,
      [{ level: "warning", text: expect.stringContaining("CHATRANDOM_PORT") }],
    ]);
  });
});

describe("Redis", () => {
  const args = ["--port", "0", "--link-port", "0", "--turn-port", "0"];

  test("version, latency and clock", async () => {
    const { code, of } = await found([...args, "--redis", redis.url]);
    expect(code).toBe(0);
    // How fast it is, and with that whether it is fine, is for the machine of the test to say.
    expect(of("redis")).toMatchObject([
      {
        level: expect.stringMatching(/^(fine|warning)$/),
        text: expect.stringMatching(/^(Valkey|Redis) \d.* answers in [\d.]+ ms/),
      },
    ]);
    // It is that of this very machine.
    expect(of("clock")).toMatchObject([{ check: "clock", level: "skipped" }]);
  });

  test("a wrong password is wrong, and printed nowhere", async () => {
    const target = `redis://anna:hush@127.0.0.1:${redis.port}`;
    for (const json of [[], ["--json"]]) {
      const { code, stdout, stderr } = await chatrandom([...args, ...json, "--redis", target]);
      expect(code).toBe(1);
      expect(stdout).toContain("it refuses user or password");
      expect(stdout).toContain("redis://***@127.0.0.1");
      expect(stdout + stderr).not.toContain("hush");
    }
  });
});

test("a name that does not exist, from anywhere", async () => {
  const { code, of, findings } = await found(["nobody.invalid"]);
  expect(code).toBe(1);
  expect(of("page")).toMatchObject([
    { level: "wrong", text: expect.stringContaining("https://nobody.invalid") },
  ]);
  expect(of("this machine")).toMatchObject([{ level: "skipped" }]);
  expect(findings.map(({ check }) => check)).not.toContain("memory");
});

test("for people: a table, and then what to change, what is wrong first", () => {
  expect(
    shownFindings([
      { check: "memory", level: "fine", text: "2 gb of 4 gb available" },
      { check: "certificate", level: "warning", text: "it runs out", advice: "renew it" },
      { check: "websocket", level: "wrong", text: "no \u001b[31mupgrade", advice: "pass it on" },
      { check: "relay", level: "skipped", text: "nobody knows" },
    ]),
  ).toBe(`\
CHECK        RESULT    FOUND
memory       fine      2 gb of 4 gb available
certificate  warning   it runs out
websocket    WRONG     no \\u001b[31mupgrade
relay        not seen  nobody knows

What to change:

WRONG websocket: no \\u001b[31mupgrade
  pass it on

warning certificate: it runs out
  renew it

1 fine, 1 warning, 1 wrong, 1 not seen
`);
});

test.each([
  [["https://a", "https://b"], 'unexpected "https://b" behind doctor'],
  [["ftp://chat.example.org"], "the address must be like https://chat.example.org"],
  [["https://anna:hush@chat.example.org"], "the address must be like"],
  [["--jsn"], "unknown option --jsn. Did you mean --json?"],
  [["--port", "x"], "--port: port is"],
])("wrong use: chatrandom doctor %j", async (args, problem) => {
  const { code, stderr } = await chatrandom(args);
  expect([code, stderr]).toEqual([2, expect.stringContaining(problem)]);
});
