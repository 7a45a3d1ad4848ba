/** The executable where it has to work: alone on a machine with nothing installed, and where much is forbidden. */
import { execFile, execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { connect as connectSecurely } from "node:tls";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { isGone } from "../test-processes.ts";
import { until } from "../test-until.ts";

const EXECUTABLE = fileURLToPath(new URL("../../dist/chatrandom", import.meta.url));
const NOBODY = 65534;

let root: string;
let started: ChildProcess[];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "chatrandom executable-"));
  started = [];
});
afterEach(async () => {
  for (const child of started) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  rmSync(root, { recursive: true, force: true });
});

interface Served {
  child: ChildProcess;
  url: string;
  lines: string[];
}

/** Starts a command that serves; resolves when it says that it is ready. */
async function serve(command: string, args: string[], env: Record<string, string> = {}): Promise<Served> {
  const child = spawn(command, args, { cwd: "/", env, stdio: ["ignore", "ignore", "pipe"] });
  started.push(child);
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stderr! })) {
    lines.push(line);
    const { msg, url } = line.startsWith("{") ? (JSON.parse(line) as Record<string, string>) : {};
    if (msg === "ready") return { child, url: new URL("/", url).href, lines };
  }
  throw new Error(`it ended before it was ready:\n${lines.join("\n")}`);
}

const options = (dataDir: string) => [
  "serve",
  "--port=0",
  "--turn-port=0",
  "--turn-public-address-from=",
  `--data-dir=${dataDir}`,
  "--log-format=json",
];

/** Whether it serves the page and says that it is ready, Redis included. */
async function expectServing({ url }: Served): Promise<void> {
  const ready = await fetch(`${url}readyz`);
  expect({ status: ready.status, ...((await ready.json()) as object) }).toMatchObject({
    status: 200,
    ready: true,
  });
  expect(await (await fetch(url)).text()).toContain("<title>ChatRandom</title>");
}

async function stop({ child }: Served): Promise<number | null> {
  child.kill("SIGTERM");
  const [code] = (await once(child, "exit")) as [number | null];
  return code;
}

/** The processes that run a program out of a data directory. */
const programsOf = (dataDir: string) =>
  readdirSync("/proc")
    .filter((pid) => /^\d+$/.test(pid))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith(`${dataDir}/programs/`);
      } catch {
        return false;
      }
    });

test("it is smaller than 135 MB", () => {
  expect(statSync(EXECUTABLE).size).toBeLessThan(135e6);
});

test("where open files are few it keeps some for itself, and says once what to change", async () => {
  const limited = [
    "-c",
    'ulimit -n 120; exec "$0" "$@"',
    EXECUTABLE,
    ...options(root),
    "--turn-enabled=false",
  ];
  const { child, url } = await serve("/bin/sh", limited);
  const lines: string[] = [];
  createInterface({ input: child.stderr! }).on("line", (line) => lines.push(line));
  const dropped = async (): Promise<number> => {
    const text = await (await fetch(`${url}metrics`)).text();
    return Number(/^chatrandom_connections_dropped_total\{reason="full"\} (\d+)$/m.exec(text)?.[1] ?? 0);
  };
  const { hostname, port } = new URL(url);
  const crowd = Array.from({ length: 100 }, () => connect(Number(port), hostname).on("error", () => {}));
  let closed = 0;
  for (const socket of crowd) socket.on("close", () => (closed += 1)).resume();
  await until(() => closed >= 40);
  expect(readdirSync(`/proc/${child.pid}/fd`).length).toBeLessThan(110);
  for (const socket of crowd) socket.destroy();
  expect(await until(() => dropped().catch(() => 0), 20)).toBeGreaterThanOrEqual(40);
  expect(lines.filter((line) => line.includes("LimitNOFILE"))).toHaveLength(1);
});

test("where open files are few a burst for the relay, of which each takes two, leaves some for everybody else", async () => {
  const limited = ["-c", 'ulimit -n 200; exec "$0" "$@"', EXECUTABLE, ...options(root)];
  const { child, url } = await serve("/bin/sh", limited);
  const lines: string[] = [];
  createInterface({ input: child.stderr! }).on("line", (line) => lines.push(line));
  const { hostname, port } = new URL(url);
  let [answered, closed, most] = [0, 0, 0];
  const look = (): void => {
    most = Math.max(most, readdirSync(`/proc/${child.pid}/fd`).length);
  };
  const binding = Buffer.concat([Buffer.from("000100002112a442", "hex"), Buffer.alloc(12)]);
  const crowd = Array.from({ length: 150 }, () =>
    connectSecurely({ host: hostname, port: Number(port), rejectUnauthorized: false }),
  );
  for (const socket of crowd) {
    socket.once("secureConnect", () => socket.write(binding)).on("error", () => {});
    socket.once("data", () => (answered += 1)).once("close", () => (closed += 1));
    socket.once("data", look).once("close", look);
  }
  await until(() => answered + closed >= 150);
  look();
  expect((await fetch(`${url}readyz`)).status).toBe(200);
  // A quarter of the connections that so many files are enough for.
  expect(answered).toBe(25);
  expect(most).toBeLessThan(150);
  for (const socket of crowd) socket.destroy();
  await until(() => lines.some((line) => line.includes("LimitNOFILE")), 20);
});

test("it serves alone in an empty root directory, for an ordinary user without HOME, from a path with a space", async () => {
  // Nothing but the C and C++ libraries that every glibc system is made of: no /proc, /dev, /tmp, /etc.
  for (const [, library] of execFileSync("ldd", [EXECUTABLE], { encoding: "utf8" }).matchAll(
    /(\/\S+) \(0x/g,
  )) {
    expect(library).toMatch(/\/(ld-linux-x86-64|lib(c|m|dl|pthread|stdc\+\+|gcc_s))\.so\.\d$/);
    mkdirSync(join(root, dirname(library!)), { recursive: true });
    copyFileSync(library!, join(root, library!));
  }
  chmodSync(root, 0o755);
  mkdirSync(join(root, "my app"));
  copyFileSync(EXECUTABLE, join(root, "my app/chatrandom"));
  mkdirSync(join(root, "data"));
  chownSync(join(root, "data"), NOBODY, NOBODY);
  const served = await serve("/usr/sbin/chroot", [
    `--userspec=${NOBODY}:${NOBODY}`,
    root,
    "/my app/chatrandom",
    ...options("/data"),
  ]);
  await expectServing(served);
  expect(await stop(served)).toBe(0);
});

/**
 * Runs the executable where the temporary directories are noexec, in a mount namespace of its own. It lies in /mnt,
 * which is not, and which is empty otherwise.
 */
const withoutExec = (...args: string[]): string[] => [
  "--mount",
  "/bin/sh",
  "-ec",
  `mount -t tmpfs t /mnt
  cp "$1" /mnt/chatrandom
  for folder in /tmp /var/tmp /dev/shm; do mount -t tmpfs -o noexec t $folder; done
  shift
  exec /mnt/chatrandom "$@"`,
  "sh",
  EXECUTABLE,
  ...args,
];

/** A path in the file system that only a process and its children have, for us who have another. */
const asSeenBy = ({ pid }: ChildProcess, path: string): string => join("/proc", String(pid), "root", path);

test("it serves where the temporary directories are noexec", async () => {
  const served = await serve("/usr/bin/unshare", withoutExec(...options("/mnt/data")));
  await expectServing(served);
  expect(readdirSync(asSeenBy(served.child, "mnt/data/programs"))).toHaveLength(2);
  expect(await stop(served)).toBe(0);
});

test("several workers find ZeroMQ's addon there too", async () => {
  const served = await serve("/usr/bin/unshare", withoutExec(...options("/mnt/data"), "--workers=2"));
  await expectServing(served);
  expect(readdirSync(asSeenBy(served.child, "mnt/data/programs")).sort()).toEqual([
    expect.stringMatching(/^turnserver-/),
    expect.stringMatching(/^valkey-server-/),
    expect.stringMatching(/^zeromq\.node-/),
  ]);
  expect(await stop(served)).toBe(0);
});

test("it serves from a noexec data directory, with its programs in the cache of the user", async () => {
  const served = await serve("/usr/bin/unshare", withoutExec(...options("/tmp/data")), { HOME: "/mnt/home" });
  await expectServing(served);
  expect(readdirSync(asSeenBy(served.child, "mnt/home/.cache/chatrandom"))).toHaveLength(2);
  expect(await stop(served)).toBe(0);
});

test("where nothing may be executed it says so in one line", async () => {
  const refused = promisify(execFile)("/usr/bin/unshare", withoutExec(...options("/tmp/data")), { env: {} });
  await expect(refused).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^[^\n]*found no directory that valkey-server can be run from[^\n]*\n$/),
  });
});

test("it tells the licenses of everything that is inside", async () => {
  const { stdout } = await promisify(execFile)(EXECUTABLE, ["version", "--licenses"], {
    maxBuffer: 16 << 20,
  });
  for (const owner of [
    "ChatRandom",
    "Valkey contributors",
    "musl",
    "coturn",
    "OpenSSL",
    "libzmq",
    "Node.js contributors",
    "express 5",
  ]) {
    expect(stdout).toContain(owner);
  }
});

test("NODE_OPTIONS injects nothing", async () => {
  const evil = join(root, "evil.cjs");
  writeFileSync(evil, `require("node:fs").writeFileSync(${JSON.stringify(join(root, "done"))}, "")`);
  const { stdout } = await promisify(execFile)(EXECUTABLE, ["version"], {
    env: { NODE_OPTIONS: `--require="${evil}"` },
  });
  expect(stdout).toMatch(/^chatrandom \d/);
  expect(existsSync(join(root, "done"))).toBe(false);
});

test("nothing that a stranger asks for puts anything but lines of JSON into the log", async () => {
  const served = await serve(EXECUTABLE, options(join(root, "data")));
  let rest = "";
  served.child.stderr!.on("data", (data) => (rest += String(data)));
  const socket = connect(Number(new URL(served.url).port), "localhost");
  socket.end("GET http://elsewhere.example/%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  await once(socket.resume(), "close");
  expect(await stop(served)).toBe(0);
  for (const line of rest.split("\n").filter(Boolean)) expect(line).toMatch(/^\{.*\}$/);
  expect(rest).toContain("stopped");
});

test("it serves while its log cannot be written, and writes it again when there is room", async () => {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  probe.close();
  const full = [
    "--mount",
    "/bin/sh",
    "-c",
    `mount -t tmpfs -o size=64k t /mnt
    head -c 64k /dev/zero >/mnt/full
    exec "$0" "$@" 2>/mnt/log`,
    EXECUTABLE,
    ...options(join(root, "data")).filter((option) => !option.startsWith("--port")),
    `--port=${port}`,
    "--host=127.0.0.1",
  ];
  const child = spawn("/usr/bin/unshare", full, { cwd: "/", env: {}, stdio: "ignore" });
  started.push(child);
  const ready = () => fetch(`http://127.0.0.1:${port}/readyz`).then(({ ok }) => ok);
  await until(() => ready().catch(() => false), 20);
  const disk = asSeenBy(child, "mnt");
  expect(readFileSync(`${disk}/log`, "utf8")).toBe("");
  rmSync(`${disk}/full`);
  child.kill("SIGHUP");
  await until(() => readFileSync(`${disk}/log`, "utf8").includes("SIGHUP: the configuration"));
  child.kill("SIGTERM");
  expect(await once(child, "exit")).toEqual([0, null]);
});

test("it ends when its terminal is closed, with everything it started", async () => {
  const dataDir = join(root, "data");
  const line = [EXECUTABLE, ...options(dataDir)].map((word) => `'${word}'`).join(" ");
  const terminal = spawn("script", ["-qec", `exec ${line}`, "/dev/null"], {
    env: process.env,
    stdio: "pipe",
  });
  started.push(terminal);
  for await (const said of createInterface({ input: terminal.stdout })) if (said.includes("Ctrl-C")) break;
  const pid = Number(readFileSync(`/proc/${terminal.pid}/task/${terminal.pid}/children`, "utf8"));
  onTestFinished(() => {
    if (!isGone(pid)) process.kill(pid, "SIGKILL");
  });
  expect(programsOf(dataDir)).toHaveLength(2);
  terminal.kill("SIGKILL");
  await until(() => isGone(pid));
  expect(programsOf(dataDir)).toEqual([]);
});

test("a second one on the same data directory is refused by name; a SIGKILL leaves no process behind", async () => {
  const dataDir = join(root, "data");
  const first = await serve(EXECUTABLE, options(dataDir));
  const second = promisify(execFile)(EXECUTABLE, options(dataDir), { env: {} });
  await expect(second).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining(dataDir) });
  const programs = programsOf(dataDir);
  expect(programs).toHaveLength(2);
  first.child.kill("SIGKILL");
  await until(() => programs.every(isGone));
  const third = await serve(EXECUTABLE, options(dataDir));
  await expectServing(third);
  expect(await stop(third)).toBe(0);
  expect(programsOf(dataDir)).toEqual([]);
});
