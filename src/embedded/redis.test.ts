import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { realClock, type Clock } from "../clock.ts";
import { redisBinary } from "../redis/test-server.ts";
import { findEmbeddedRedis, serversOf, startEmbeddedRedis, valkey, type EmbeddedRedis } from "./redis.ts";
import { isGone } from "../test-processes.ts";
import { until } from "../test-until.ts";

const program = { ...valkey, content: () => readFileSync(redisBinary()) };
const log = { debug() {}, info() {}, warn: vi.fn(), error() {} };

let root: string;
let running: { stop(): Promise<void> }[];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "chatrandom redis-"));
  running = [];
});
afterEach(async () => {
  for (const redis of running) await redis.stop();
  rmSync(root, { recursive: true, force: true });
});

async function start(dataDir = join(root, "data"), clock: Clock = realClock): Promise<EmbeddedRedis> {
  const redis = await startEmbeddedRedis({ dataDir, maxMemory: 16 * 1024 ** 2, program, log, clock });
  running.push(redis);
  return redis;
}

/** Sends one command; resolves with the lines of the answer. */
async function ask(path: string, line: string): Promise<string[]> {
  const socket = connect(path);
  socket.write(`${line}\r\n`);
  const [data] = await once(socket, "data");
  socket.destroy();
  return String(data).split("\r\n");
}

const command = async (path: string, line: string) => (await ask(path, line))[0];
const setting = async (path: string, name: string) => (await ask(path, `CONFIG GET ${name}`))[4];

/** Writes, and waits until the write is in the log: while the disk is busy that comes a moment after the answer. */
async function write(path: string, key: string, value: string): Promise<void> {
  expect(await command(path, `SET ${key} ${value}`)).toBe("+OK");
  const inLog = async () => (await ask(path, "INFO persistence")).includes("aof_buffer_length:0");
  await until(inLog);
}

const reaches = (redis: EmbeddedRedis, state: string) => until(() => redis.state() === state);

/** A process of its own that runs the embedded Redis, as the appliance does; resolves when it is up. */
async function startElsewhere(dataDir: string) {
  const source = `
    import { startEmbeddedRedis, valkey } from ${JSON.stringify(new URL("redis.ts", import.meta.url).href)};
    import { readFileSync } from "node:fs";
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const program = { ...valkey, content: () => readFileSync(process.argv[2]) };
    const redis = await startEmbeddedRedis({ dataDir: process.argv[1], maxMemory: 2 ** 24, program, log });
    console.log(JSON.stringify({ pid: redis.pid(), path: redis.path }));`;
  const parent = spawn(process.execPath, ["--input-type=module", "-e", source, dataDir, redisBinary()], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(parent.stdout, "data");
  return { parent, ...(JSON.parse(String(line)) as { pid: number; path: string }) };
}

test("it answers on a socket that only we can reach, has no TCP port, and never throws data out", async () => {
  const redis = await start();
  expect(redis.state()).toBe("up");
  expect(await command(redis.path, "PING")).toBe("+PONG");
  expect(redis.path).toBe(join(root, "data/redis/redis.sock"));
  for (const path of [redis.path, dirname(redis.path)]) expect(statSync(path).mode & 0o777).toBe(0o700);
  expect(await setting(redis.path, "port")).toBe("0");
  expect(await setting(redis.path, "maxmemory-policy")).toBe("noeviction");
  expect(await setting(redis.path, "maxmemory")).toBe(String(16 * 1024 ** 2));
  expect(await setting(redis.path, "appendfsync")).toBe("everysec");
});

test("what was written is there after a SIGKILL of the server, which is started again", async () => {
  const redis = await start();
  const states: string[] = [];
  redis.onState((state) => states.push(state));
  await write(redis.path, "ban", "forever");
  const pid = redis.pid()!;
  process.kill(pid, "SIGKILL");
  await reaches(redis, "down");
  await reaches(redis, "up");
  expect(states).toEqual(["down", "up"]);
  expect(redis.pid()).not.toBe(pid);
  expect(await command(redis.path, "GET ban")).toBe("$7");
});

test("what was written is there after a stop and a new start, though the program's file was removed", async () => {
  const first = await start();
  await write(first.path, "ban", "forever");
  await first.stop();
  expect(first.state()).toBe("down");
  expect(serversOf([first.path])).toEqual([]);
  rmSync(join(root, "data/programs"), { recursive: true });
  const second = await start();
  expect(await command(second.path, "GET ban")).toBe("$7");
});

test("a SIGKILL of the process that started it leaves nothing behind and loses nothing", async () => {
  const { parent, pid, path } = await startElsewhere(join(root, "data"));
  await write(path, "ban", "forever");
  const exited = once(parent, "exit");
  parent.kill("SIGKILL");
  await exited;
  await until(() => isGone(pid));
  const redis = await start();
  expect(await command(redis.path, "GET ban")).toBe("$7");
});

test("a second one on the same data directory is refused by name, however the directory is spelled", async () => {
  await start();
  symlinkSync(join(root, "data"), join(root, "other name"));
  await expect(start(join(root, "data"))).rejects.toThrow(
    `another chatrandom (process ${process.pid}) is running on the data directory ${join(root, "data")}: stop it, or choose another`,
  );
  await expect(start(join(root, "other name"))).rejects.toThrow("another chatrandom (process ");
});

test("a server left over from an earlier run is ended, a hanging one too, and its data is kept", async () => {
  const first = await start();
  await first.stop();
  for (const hanging of [false, true]) {
    // Without CHATRANDOM_PARENT_PID it outlives its starter, as one from PATH would.
    const args = `--port 0 --save  --appendonly yes --set-proc-title no --unixsocket`.split(" ");
    args.push(first.path, "--dir", join(root, "data/redis"));
    const leftOver = spawn(redisBinary(), args, { stdio: "ignore" });
    const exited = once(leftOver, "exit");
    const answers = () =>
      command(first.path, "PING").then(
        (answer) => answer === "+PONG",
        () => false,
      );
    await until(answers);
    await write(first.path, `left${hanging}`, "over");
    expect(serversOf([first.path])).toEqual([leftOver.pid]);
    if (hanging) leftOver.kill("SIGSTOP");
    // The patience with a hanging one is over at the first look; that with its death is not.
    let ahead = 0;
    const hurried: Clock = {
      ...realClock,
      now: () => realClock.now() + ahead,
      after: (ms, what) => realClock.after(ms, () => ((ahead = 10_000), what())),
    };
    const redis = await start(join(root, "data"), hanging ? hurried : realClock);
    await exited;
    expect(await command(redis.path, `GET left${hanging}`)).toBe("$4");
    await redis.stop();
  }
});

test("a data directory too deep for a socket gets a short one elsewhere, private and removed at the end", async () => {
  const dataDir = join(root, "d".repeat(120));
  const redis = await start(dataDir);
  expect(Buffer.byteLength(redis.path)).toBeLessThan(108);
  expect(redis.path.startsWith(dataDir)).toBe(false);
  expect(await command(redis.path, "PING")).toBe("+PONG");
  await redis.stop();
  expect(existsSync(redis.path)).toBe(false);
});

test("a directory that others can enter holds no socket", async () => {
  const dataDir = join(root, "data");
  mkdirSync(join(dataDir, "redis"), { recursive: true });
  chmodSync(join(dataDir, "redis"), 0o755);
  const redis = await start(dataDir);
  expect(redis.path.startsWith(dataDir)).toBe(false);
  expect(statSync(dirname(redis.path)).mode & 0o777).toBe(0o700);
  expect(await command(redis.path, "PING")).toBe("+PONG");
});

test("a data directory that cannot be used is one clear line that names it", async () => {
  await expect(start("/proc/nothing/here")).rejects.toThrow(
    "cannot write to the data directory /proc/nothing/here (ENOENT): choose another with --data-dir",
  );
  await expect(start(join(process.execPath, "inside"))).rejects.toThrow(/\(ENOTDIR\): choose another/);
});

test("a data directory on a full disk is one clear line too, and nothing is left there", async () => {
  const dataDir = join(root, "data");
  mkdirSync(dataDir);
  symlinkSync("/dev/full", join(dataDir, `lock.${process.pid}`));
  await expect(start()).rejects.toThrow(
    `cannot write to the data directory ${dataDir} (ENOSPC): make room there, or choose another with --data-dir`,
  );
  expect(readdirSync(dataDir)).toEqual(["redis"]);
});

test("a server whose disk is full is found all the same", async () => {
  const path = join(root, "data/redis/redis.sock");
  mkdirSync(join(root, "data/redis"), { recursive: true });
  const refusing = createServer((socket) => socket.write("-MISCONF Errors writing to the AOF file\r\n"));
  await once(refusing.listen(path), "listening");
  try {
    expect(await findEmbeddedRedis(join(root, "data"))).toBe(path);
  } finally {
    refusing.close();
  }
});

test("what it writes is for us alone, whatever the umask", async () => {
  const before = process.umask(0o022);
  try {
    await start();
  } finally {
    expect(process.umask(before)).toBe(0o022);
  }
  const { mode } = statSync(join(root, "data/redis/appendonlydir"));
  expect((mode & 0o777).toString(8)).toBe("700");
});

test("a server that cannot start says why", async () => {
  const redis = await start();
  await redis.stop();
  rmSync(join(root, "data/redis/appendonlydir"), { recursive: true });
  mkdirSync(join(root, "data/redis/appendonlydir/appendonly.aof.manifest"), { recursive: true });
  await expect(start()).rejects.toThrow(/the embedded Redis does not start: exit 1/);
  expect(readdirSync(join(root, "data"))).toContain("lock");
});

test.each(["incr", "base"])(
  "says where damaged data lies, and what to do: the %s file of the log",
  async (part) => {
    const redis = await start();
    await write(redis.path, "ban", "forever");
    await redis.stop();
    const folder = join(root, "data/redis/appendonlydir");
    const file = join(
      folder,
      readdirSync(folder).find((name) => name.includes(`.${part}.`))!,
    );
    writeFileSync(file, Buffer.from(readFileSync(file)).fill("X", 0, 20));
    await expect(start()).rejects.toThrow(
      new RegExp(
        `^the data of the embedded Redis in ${join(root, "data/redis")} is damaged[^\n]*move that directory away`,
      ),
    );
  },
);
