import { EventEmitter } from "node:events";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Failure } from "../failure.ts";
import { openLog } from "../log.ts";
import { type Life, type Stoppable, untilStopped } from "./until-stopped.ts";
import { eventually } from "../test-until.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout"] }));
afterEach(() => void vi.useRealTimers());

/** A process and a server of which a test decides everything. */
async function play(more: Partial<Life<Stoppable>> = {}) {
  const started = Promise.withResolvers<Stoppable>();
  const stopped = Promise.withResolvers<void>();
  const failed = Promise.withResolvers<Error>();
  const ready = Promise.withResolvers<void>();
  const lines: string[] = [];
  const log = await openLog(
    { log_level: "info", log_format: "json" },
    { write: (line) => void lines.push(line) },
  );
  const process = new EventEmitter();
  const stop = vi.fn(() => stopped.promise);
  const exit = vi.fn();
  const hangUp = vi.fn();
  const life: Life<Stoppable> = {
    start: (stopping) => {
      stopping.addEventListener("abort", () => void lines.push('{"msg":"the start is told"}\n'));
      return started.promise;
    },
    ready: () => ready.resolve(),
    hangUp,
    stopTimeout: 9_000,
    log,
    process,
    exit,
    ...more,
  };
  const result = untilStopped(life);
  const start = async () => {
    started.resolve({ stop, failed: failed.promise });
    await ready.promise;
  };
  return { started, stopped, failed, ready, lines, process, stop, exit, hangUp, result, start };
}

test.each(["SIGTERM", "SIGINT"])(
  "%s stops what runs and ends with 0, and no listener is left",
  async (signal) => {
    const { start, process, stop, stopped, result, exit } = await play();
    await start();
    expect(stop).not.toHaveBeenCalled();
    process.emit(signal, signal);
    stopped.resolve();
    expect(await result).toBe(0);
    expect(stop).toHaveBeenCalledOnce();
    expect(exit).not.toHaveBeenCalled();
    expect(process.eventNames()).toEqual([]);
  },
);

test("a signal during the start stops as soon as there is something to stop, and greets nobody", async () => {
  const { started, failed, stop, stopped, process, result, lines } = await play();
  process.emit("SIGTERM", "SIGTERM");
  started.resolve({ stop, failed: failed.promise });
  stopped.resolve();
  expect(await result).toBe(0);
  expect(stop).toHaveBeenCalledOnce();
  expect(lines.map((line) => JSON.parse(line).msg)).toEqual([
    "SIGTERM: stopping",
    "the start is told",
    "stopped",
  ]);
});

test("a start that gives up because of a signal is no failure", async () => {
  const { started, process, result, lines, exit } = await play();
  process.emit("SIGTERM", "SIGTERM");
  started.reject(new Failure("told to stop"));
  expect(await result).toBe(0);
  expect(exit).not.toHaveBeenCalled();
  expect(process.eventNames()).toEqual([]);
  expect(lines.map((line) => JSON.parse(line).msg)).toEqual([
    "SIGTERM: stopping",
    "the start is told",
    "stopped",
  ]);
});

test("a second signal ends the process at once", async () => {
  const { start, process, exit } = await play();
  await start();
  process.emit("SIGINT", "SIGINT");
  expect(exit).not.toHaveBeenCalled();
  process.emit("SIGINT", "SIGINT");
  expect(exit).toHaveBeenCalledExactlyOnceWith(1);
});

test("a stop that hangs ends with the timeout", async () => {
  const { start, process, exit } = await play();
  await start();
  process.emit("SIGTERM", "SIGTERM");
  vi.advanceTimersByTime(8_999);
  expect(exit).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(exit).toHaveBeenCalledExactlyOnceWith(1);
});

test("SIGHUP ends nothing", async () => {
  const { start, process, hangUp, stop, stopped, result } = await play();
  await start();
  process.emit("SIGHUP", "SIGHUP");
  expect(hangUp).toHaveBeenCalledOnce();
  expect(stop).not.toHaveBeenCalled();
  process.emit("SIGTERM", "SIGTERM");
  stopped.resolve();
  expect(await result).toBe(0);
});

test("what can no longer serve stops and ends with 1, in one line", async () => {
  const { start, failed, stop, stopped, result, lines } = await play();
  await start();
  failed.resolve(new Failure("the port is gone"));
  stopped.resolve();
  expect(await result).toBe(1);
  expect(stop).toHaveBeenCalledOnce();
  expect(lines.map((line) => JSON.parse(line).msg)).toEqual(["stopping: the port is gone", "stopped"]);
});

test.each(["uncaughtException", "unhandledRejection"])(
  "%s is logged without its stack, stops, and ends with 1",
  async (event) => {
    const { start, process, stop, stopped, result, lines } = await play();
    await start();
    process.emit(event, new TypeError("oops"));
    stopped.resolve();
    expect(await result).toBe(1);
    expect(stop).toHaveBeenCalledOnce();
    expect(JSON.parse(lines[0]!)).toMatchObject({
      level: "fatal",
      err: { type: "TypeError", message: "oops" },
    });
    expect(lines.join("")).not.toContain("until-stopped");
  },
);

test("a fault while stopping ends at once, but a server that fails because it stops is no fault", async () => {
  const { start, process, failed, exit, stop, stopped, result } = await play();
  await start();
  process.emit("SIGTERM", "SIGTERM");
  failed.resolve(new Error("closed"));
  await eventually(() => expect(stop).toHaveBeenCalled());
  expect(exit).not.toHaveBeenCalled();
  process.emit("uncaughtException", new Error("again"));
  expect(exit).toHaveBeenCalledExactlyOnceWith(1);
  stopped.resolve();
  expect(await result).toBe(0);
});

test("a start that fails is the caller's to tell, and no listener is left", async () => {
  const { started, result, process } = await play();
  started.reject(new Failure("port 8080 is in use"));
  await expect(result).rejects.toThrow("port 8080 is in use");
  expect(process.eventNames()).toEqual([]);
});

test("SIGHUP ends with 0 where the terminal is gone, however often it is told", async () => {
  const { start, process, stop, stopped, result, exit } = await play({ hangUp: undefined });
  await start();
  for (let times = 0; times < 3; times++) process.emit("SIGHUP", "SIGHUP");
  expect(stop).not.toHaveBeenCalledTimes(2);
  stopped.resolve();
  expect(await result).toBe(0);
  expect(exit).not.toHaveBeenCalled();
});
