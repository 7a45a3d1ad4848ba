import { readFileSync } from "node:fs";
import { afterEach, expect, test, vi } from "vitest";
import { Failure } from "../failure.ts";
import { restartDelay, startProgram, type Command, type RunningProgram } from "./program.ts";
import type { Timers } from "./timers.ts";

/** A clock that stands still; what is due is run by hand. */
class HeldTimers implements Timers {
  time = 0;
  waiting: { ms: number; call: () => void }[] = [];
  #listeners: (() => void)[] = [];

  now = () => this.time;
  after = (ms: number, call: () => void) => {
    const timer = { ms, call };
    this.waiting.push(timer);
    for (const listener of this.#listeners.splice(0)) listener();
    return () => void (this.waiting = this.waiting.filter((other) => other !== timer));
  };

  /** Waits until somebody waits for exactly so long, then lets that time pass. */
  async pass(ms: number): Promise<void> {
    for (;;) {
      const due = this.waiting.find((timer) => timer.ms === ms);
      if (due) {
        this.waiting = this.waiting.filter((other) => other !== due);
        this.time += ms;
        return due.call();
      }
      await new Promise<void>((resolve) => this.#listeners.push(resolve));
    }
  }
}

const log = { debug() {}, info() {}, warn() {}, error() {} };
const shell = (script: string): Command => ({ file: "/bin/sh", args: ["-c", script] });

let program: RunningProgram | undefined;
afterEach(() => program?.stop());

/** Starts the given scripts one after the other, the last one again and again. */
async function start(timers: Timers, ...scripts: string[]): Promise<RunningProgram> {
  let next = 0;
  program = await startProgram({
    name: "the program",
    command: async () => shell(scripts[Math.min(next++, scripts.length - 1)]!),
    answers: async () => true,
    log,
    timers,
  });
  return program;
}

const reaches = (running: RunningProgram, state: string) =>
  new Promise<void>((resolve) => {
    if (running.state() === state) return resolve();
    const end = running.onState((now) => {
      if (now !== state) return;
      end();
      resolve();
    });
  });

test("the pause before a restart doubles up to ten seconds", () => {
  expect([1, 2, 3, 7, 8, 100].map(restartDelay)).toEqual([100, 200, 400, 6400, 10_000, 10_000]);
});

test("a program that ends is started again, later each time, and says when it is down and up", async () => {
  const timers = new HeldTimers();
  const running = await start(timers, "exec sleep 1000", "exit 3", "exit 3", "exec sleep 1000");
  const first = running.pid()!;
  expect(running.state()).toBe("up");
  process.kill(first, "SIGKILL");
  await reaches(running, "down");
  await timers.pass(100);
  await timers.pass(200);
  await timers.pass(400);
  await reaches(running, "up");
  expect(running.pid()).not.toBe(first);
});

test("after a minute of health the next end is the first one again", async () => {
  const timers = new HeldTimers();
  const running = await start(timers, "exec sleep 1000");
  process.kill(running.pid()!, "SIGKILL");
  await reaches(running, "down");
  await timers.pass(100);
  await reaches(running, "up");
  timers.time += 60_001;
  process.kill(running.pid()!, "SIGKILL");
  await reaches(running, "down");
  await timers.pass(100);
  await reaches(running, "up");
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
  const timers = new HeldTimers();
  const running = await start(timers, "trap '' TERM; exec sleep 1000");
  const pid = running.pid()!;
  await vi.waitUntil(() => readFileSync(`/proc/${pid}/comm`, "utf8") === "sleep\n", { interval: 1 });
  const stopped = running.stop();
  await timers.pass(5000);
  await stopped;
  expect(() => process.kill(pid, 0)).toThrow("ESRCH");
  expect(running.state()).toBe("down");
});

test("stop ends the waiting for a restart; nothing is started after it", async () => {
  const timers = new HeldTimers();
  const running = await start(timers, "exec sleep 1000");
  process.kill(running.pid()!, "SIGKILL");
  await reaches(running, "down");
  await running.stop();
  expect(running.pid()).toBeUndefined();
  expect(timers.waiting).toEqual([]);
});

test("it runs in a session of its own, so that Ctrl-C reaches only us, and gets none of our environment", async () => {
  process.env["CHATRANDOM_LINK_SECRET"] = "secret";
  const running = await start(new HeldTimers(), "exec sleep 1000");
  const stat = readFileSync(`/proc/${running.pid()}/stat`, "utf8");
  const [, , group, session] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  expect([Number(group), Number(session)]).toEqual([running.pid(), running.pid()]);
  const environment = readFileSync(`/proc/${running.pid()}/environ`, "utf8");
  delete process.env["CHATRANDOM_LINK_SECRET"];
  expect(environment).toContain(`CHATRANDOM_PARENT_PID=${process.pid}`);
  expect(environment).not.toContain("SECRET");
});
