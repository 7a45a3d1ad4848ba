/** `chatrandom doctor` as its operator runs it: the executable, beside a real server, proxies and a real relay. */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { Finding } from "../doctor/finding.ts";
import { type Faults, startTestProxy, without } from "../doctor/test-proxy.ts";
import { startTestTurn, type TestTurn } from "../relay/test-server.ts";

const EXECUTABLE = fileURLToPath(new URL("../../dist/chatrandom", import.meta.url));

let root: string;
let turn: TestTurn;
let child: ChildProcess;
let port: number;
let args: string[];
let env: Record<string, string>;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "chatrandom-doctor-"));
  turn = await startTestTurn();
  const { username, credential } = turn.credentials();
  const relay = `turn:127.0.0.1:${turn.port}`;
  args = [
    `--data-dir=${join(root, "data")}`,
    "--host=127.0.0.1",
    "--turn-enabled=false",
    `--ice-urls=${relay}`,
    `--ice-urls=${relay}?transport=tcp`,
    `--ice-username=${username}`,
  ];
  env = { CHATRANDOM_ICE_CREDENTIAL: credential };
  child = spawn(EXECUTABLE, ["serve", ...args, "--port=0", "--log-format=json"], {
    env,
    stdio: ["ignore", "ignore", "pipe"],
  });
  port = await ready(child);
  args.push(`--port=${port}`);
});
afterAll(async () => {
  child.kill("SIGTERM");
  await once(child, "exit");
  await turn.stop();
  rmSync(root, { recursive: true, force: true });
});

async function ready(server: ChildProcess): Promise<number> {
  const lines: string[] = [];
  const reader = createInterface({ input: server.stderr! });
  for await (const line of reader) {
    lines.push(line);
    const { msg, url } = line.startsWith("{") ? (JSON.parse(line) as Record<string, string>) : {};
    if (msg !== "ready") continue;
    server.stderr!.resume();
    return Number(new URL(url!).port);
  }
  throw new Error(`it ended before it was ready:\n${lines.join("\n")}`);
}

function doctor(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(EXECUTABLE, ["doctor", ...args], { env }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
}

async function found(...args: string[]) {
  const { code, stdout } = await doctor("--json", ...args);
  const { findings } = JSON.parse(stdout) as { findings: Finding[] };
  return {
    code,
    findings,
    levels: (check: string) => findings.filter((each) => each.check === check).map(({ level }) => level),
    of: (check: string) => findings.find((each) => each.check === check),
    wrong: findings.filter(({ level }) => level === "wrong"),
  };
}

test("beside a server that is right nothing is wrong: port, Redis, page, WebSocket, relay by UDP and TCP", async () => {
  const { code, levels, of, wrong } = await found(...args);
  expect(wrong).toEqual([]);
  expect(code).toBe(0);
  expect(of(`port ${port} tcp`)!.text).toBe("ChatRandom runs here");
  expect(of("redis")!.text).toMatch(/^Valkey .* at the embedded socket answers/);
  expect(of("clock")).toMatchObject({ level: "skipped", text: "no other machine's clock was seen" });
  expect(of("file descriptors")!.text).toContain("of the ChatRandom that runs here");
  expect([levels("page"), levels("websocket"), levels("relay")]).toEqual([
    ["fine"],
    ["fine"],
    ["fine", "fine"],
  ]);
  expect(levels("public address")).toEqual(["skipped"]);
});

test("the server itself has tried its relay, and says so", async () => {
  await expect
    .poll(async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).json(), { timeout: 30_000 })
    .toMatchObject({
      ready: true,
      details: { relayTest: { ok: true, servers: [{ outcome: "works" }, { outcome: "works" }] } },
    });
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  expect(metrics).toContain(`\nchatrandom_relay_test_ok{url="turn:127.0.0.1:${turn.port}"} 1\n`);
});

test.each<[string, Faults, string]>([
  ["refuses the upgrade", { request: without("upgrade", "connection") }, "the upgrade is not passed on"],
  ["takes headers out", { request: without("sec-websocket-protocol") }, "takes the subprotocol out"],
])("a proxy that %s is found by its address alone: exit 1", async (_, faults, text) => {
  const proxy = await startTestProxy(port, faults);
  onTestFinished(() => proxy.close());
  const { code, of, levels } = await found(proxy.origin);
  expect(code).toBe(1);
  expect(of("page")!.level).toBe("fine");
  expect(of("websocket")).toMatchObject({ level: "wrong", text: expect.stringContaining(text) });
  expect(levels("this machine")).toEqual(["skipped"]);
});

test("through a proxy that is right the relay is tried as visitors are told of it, without any option", async () => {
  const proxy = await startTestProxy(port);
  onTestFinished(() => proxy.close());
  const { code, levels } = await found(proxy.origin);
  expect([code, levels("websocket"), levels("relay")]).toEqual([0, ["fine"], ["fine", "fine"]]);
});

test("a table for people, with exit 0", async () => {
  const { code, stdout, stderr } = await doctor(...args);
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toMatch(/^CHECK +RESULT +FOUND\n/);
  expect(stdout).toMatch(/^websocket +fine +ws:\/\/.*\/ws takes visitors$/m);
  expect(stdout).toMatch(/, 0 wrong/);
});

test("the embedded relay is tried by UDP, TCP and TLS on the port of HTTPS", async () => {
  const options = [`--data-dir=${join(root, "with relay")}`, "--host=127.0.0.1", "--tls=self-signed"];
  const server = spawn(EXECUTABLE, ["serve", ...options, "--port=0", "--turn-port=0", "--log-format=json"], {
    env: {},
    stdio: ["ignore", "ignore", "pipe"],
  });
  onTestFinished(async () => {
    server.kill("SIGTERM");
    await once(server, "exit");
  });
  const at = await ready(server);
  await expect
    .poll(async () => (await fetch(`http://127.0.0.1:${at}/readyz`)).json(), { timeout: 30_000 })
    .toMatchObject({ details: { relay: "up", relayTest: { ok: true, servers: expect.any(Array) } } });
  const { findings } = await found(`https://127.0.0.1:${at}`, ...options, `--port=${at}`, "--turn-port=0");
  const relay = findings.filter(({ check }) => check === "relay");
  expect(
    relay.map(({ level, text }) => `${level} ${text.replaceAll(/(?<=\.1):\d+|in \d+ ms/g, "")}`),
  ).toEqual([
    "fine stun:127.0.0.1 answers, ",
    "fine turn:127.0.0.1?transport=udp allocates and relays, ",
    "fine turn:127.0.0.1?transport=tcp allocates and relays, ",
    "warning turns:127.0.0.1?transport=tcp: its certificate is not trusted, so browsers refuse it",
  ]);
  expect(findings.filter(({ level }) => level === "wrong")).toEqual([]);
});

test.each<[string, () => string[], string]>([
  ["with a wrong password", () => [], "it refuses username or password"],
  ["that is dead", () => ["--ice-urls=turn:127.0.0.1:9"], "nothing listens there"],
])("a relay %s is found, and the server says so in its log and its details", async (_, change, problem) => {
  const dataDir = join(root, `broken ${problem}`);
  const urls = change();
  const options = [
    `--data-dir=${dataDir}`,
    "--host=127.0.0.1",
    "--turn-enabled=false",
    "--ice-username=9999999999:somebody",
    ...(urls.length > 0 ? urls : [`--ice-urls=turn:127.0.0.1:${turn.port}`]),
  ];
  const broken = spawn(EXECUTABLE, ["serve", ...options, "--port=0", "--log-format=json"], {
    env: { CHATRANDOM_ICE_CREDENTIAL: "wrong-secret" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  onTestFinished(async () => {
    broken.kill("SIGTERM");
    await once(broken, "exit");
  });
  const logged: string[] = [];
  createInterface({ input: broken.stderr! }).on("line", (line) => logged.push(line));
  const line = (what: string) => logged.find((each) => each.includes(what));
  await expect.poll(() => line('"msg":"ready"'), { timeout: 30_000 }).toBeDefined();
  await expect.poll(() => line("test failed"), { timeout: 30_000 }).toContain(problem);
  expect(JSON.parse(line("test failed")!)).toMatchObject({ level: "error", advice: expect.any(String) });
  const { url } = JSON.parse(line('"msg":"ready"')!) as { url: string };
  const answer = await fetch(new URL("/readyz", url));
  expect([answer.status, await answer.json()]).toMatchObject([
    200,
    { ready: true, details: { relayTest: { ok: false, servers: [{ problem }] } } },
  ]);
  const { code, of } = await found(...options, `--port=${new URL(url).port}`);
  expect([code, of("relay")]).toMatchObject([1, { level: "wrong", text: expect.stringContaining(problem) }]);
  expect(logged.join("\n")).not.toContain("wrong-secret");
});
