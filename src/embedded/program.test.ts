import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Clock } from "../clock.ts";
import { Failure } from "../failure.ts";
import { StillClock } from "../still-clock.ts";
import { restartDelay, startProgram, type Command, type RunningProgram } from "./program.ts";
import { until } from "../test-until.ts";

const log = { debug() {}, info() {}, warn: vi.fn(), error: vi.fn() };
const shell = (script: string): Command => ({ file: "/bin/sh", args: ["-c", script] });

let program: RunningProgram | undefined;
beforeEach(() => {
  log.warn.mockClear();
  log.error.mockClear();
});
afterEach(() => program?.stop());

/** How many processes have been started. */
let starts: number;

/** Starts the given scripts one after the other, the last one again and again. */
async function start(clock: Clock, ...scripts: string[]): Promise<RunningProgram> {
  starts = 0;
  program = await startProgram({
    name: "the program",
    command: async () => shell(scripts[Math.min(starts++, scripts.length - 1)]!),
    answers: async () => true,
    log,
    clock,
  });
  return program;
}

/** Waits until so many ends have been noticed; the pause before the restart has begun then. */
const noticed = (ends: number) => until(() => log.warn.mock.calls.length === ends);

const reaches = (running: RunningProgram, state: string) =>
  new Promise<void>((resolve) => {
    if (running.state() === state) return resolve();
    const end = running.onState((now) => {
      if (now !== state) return;
      end();
      resolve();
    });
  });

const turn = () => new Promise((resolve) => void setImmediate(resolve));

const isGone = (pid: number) => !existsSync(`/proc/${pid}`);

test("the pause before a restart doubles up to ten seconds", () => {
  expect([1, 2, 3, 7, 8, 100].map(restartDelay)).toEqual([100, 200, 400, 6400, 10_000, 10_000]);
});

test("one that is not wanted any more while it starts is ended", async () => {
  const stopping = new AbortController();
  const directory = mkdtempSync(join(tmpdir(), "chatrandom-program-"));
  const pidFile = join(directory, "pid");
  const started = startProgram({
    name: "the program",
    command: async () => shell(`echo $$ >"${pidFile}"; exec sleep 1000`),
    answers: async () => {
      if (existsSync(pidFile) && readFileSync(pidFile, "utf8") !== "") stopping.abort();
      return false;
    },
    log,
    stopping: stopping.signal,
  });
  await expect(started).rejects.toThrow(new Failure("the program was stopped before it was up"));
  expect(isGone(Number(readFileSync(pidFile, "utf8")))).toBe(true);
  rmSync(directory, { recursive: true });
});

test("one that is not wanted any more is not started", async () => {
  const command = vi.fn(async () => shell("exit"));
  const options = { name: "the program", command, answers: async () => true, log };
  await expect(startProgram({ ...options, stopping: AbortSignal.abort() })).rejects.toThrow(Failure);
  expect(command).not.toHaveBeenCalled();
});

test("who stops wanting it when it is up has to stop it", async () => {
  const stopping = new AbortController();
  const options = { name: "the program", command: async () => shell("exec sleep 1000"), log };
  program = await startProgram({ ...options, answers: async () => true, stopping: stopping.signal });
  stopping.abort();
  await turn();
  expect([program.state(), isGone(program.pid()!)]).toEqual(["up", false]);
});

test("a program that ends is started again, later each time, and says when it is down and up", async () => {
  const clock = new StillClock();
  const running = await start(clock, "exec sleep 1000", "exit 3", "exit 3", "exec sleep 1000");
  const first = running.pid()!;
  expect(running.state()).toBe("up");
  process.kill(first, "SIGKILL");
  for (const [ends, delay] of [100, 200, 400].entries()) {
    await noticed(ends + 1);
    expect(running.state()).toBe("down");
    clock.move(delay - 1);
    await turn(); // what is due starts it only in the next turn of the event loop
    expect(starts).toBe(ends + 1);
    clock.move(1);
    await until(() => starts === ends + 2);
  }
  await reaches(running, "up");
  expect(running.pid()).not.toBe(first);
});

test("a program that is told to starts anew at once, and nobody is warned of its end", async () => {
  const clock = new StillClock();
  const running = await start(clock, "exec sleep 1000");
  for (const count of [2, 3]) {
    const before = running.pid()!;
    running.restart();
    await until(() => starts === count && running.state() === "up");
    expect(isGone(before)).toBe(true);
  }
  expect(log.warn).not.toHaveBeenCalled();
  // That was for those ends only.
  process.kill(running.pid()!, "SIGKILL");
  await noticed(1);
});

test("after a minute of health the next end is the first one again", async () => {
  const clock = new StillClock();
  const running = await start(clock, "exec sleep 1000");
  for (const ends of [1, 2, 3]) {
    clock.move(60_001);
    process.kill(running.pid()!, "SIGKILL");
    await noticed(ends);
    clock.move(100);
    await reaches(running, "up");
  }
});

test("a program that hangs is killed after six times without an answer in a row, and started again", async () => {
  const clock = new StillClock();
  let asked = 0;
  let hangs = false;
  const running = (program = await startProgram({
    name: "the program",
    command: async () => shell("exec sleep 1000"),
    answers: async () => (asked++, !hangs),
    log,
    clock,
  }));
  const first = running.pid()!;
  /** Asks it so often; each time is over before the next one. */
  const ask = async (times: number) => {
    for (const end = asked + times; asked < end;) {
      clock.move(5_000);
      await Promise.resolve();
    }
  };
  hangs = true;
  await ask(5);
  hangs = false;
  await ask(1);
  hangs = true;
  await ask(5);
  expect(log.error).not.toHaveBeenCalled();
  await ask(1);
  expect(log.error).toHaveBeenCalledOnce();
  hangs = false;
  await noticed(1);
  clock.move(100);
  await reaches(running, "up");
  expect(isGone(first)).toBe(true);
  // The watch over the one that is gone has ended.
  await running.stop();
  expect(clock.pending).toBe(0);
});

test("a program that ends before it answers for the first time fails with its last words", async () => {
  const starting = startProgram({
    name: "the program",
    command: async () => shell("echo no such thing >&2; exit 4"),
    answers: async () => false,
    log,
  });
  await expect(starting).rejects.toThrow(new Failure("the program does not start: exit 4 | no such thing"));
});

test("a file that cannot be executed fails, and no signal reaches our own process group", async () => {
  const starting = startProgram({
    name: "the program",
    command: async () => ({ file: "/nonexistent", args: [] }),
    answers: async () => false,
    log,
  });
  await expect(starting).rejects.toThrow("the program does not start: spawn /nonexistent ENOENT");
});

test("a program that ignores SIGTERM is killed after five seconds", async () => {
  const clock = new StillClock();
  const running = await start(clock, "trap '' TERM; exec sleep 1000");
  const pid = running.pid()!;
  await until(() => readFileSync(`/proc/${pid}/comm`, "utf8") === "sleep\n");
  const stopped = running.stop();
  clock.move(4999);
  expect(log.warn).not.toHaveBeenCalled(); // its death would be seen only later
  clock.move(1);
  expect(log.warn).toHaveBeenCalledOnce();
  await stopped;
  expect(isGone(pid)).toBe(true);
  expect(running.state()).toBe("down");
});

test("stop ends the waiting for a restart; nothing is started after it", async () => {
  const clock = new StillClock();
  const running = await start(clock, "exec sleep 1000");
  process.kill(running.pid()!, "SIGKILL");
  await noticed(1);
  await running.stop();
  expect(running.pid()).toBeUndefined();
  expect(clock.pending).toBe(0);
  expect(starts).toBe(1);
});

test("it runs in a session of its own, so that Ctrl-C reaches only us, and gets none of our environment", async () => {
  process.env["CHATRANDOM_LINK_SECRET"] = "secret";
  const running = await start(new StillClock(), "exec sleep 1000");
  const stat = readFileSync(`/proc/${running.pid()}/stat`, "utf8");
  const [, , group, session] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  expect([Number(group), Number(session)]).toEqual([running.pid(), running.pid()]);
  // Between fork and exec it has none at all.
  const environment = await until(() => readFileSync(`/proc/${running.pid()}/environ`, "utf8"));
  delete process.env["CHATRANDOM_LINK_SECRET"];
  expect(environment).toContain(`CHATRANDOM_PARENT_PID=${process.pid}`);
  expect(environment).not.toContain("SECRET");
});
