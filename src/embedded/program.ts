import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import type { Logger } from "pino";
import { realClock, type Clock } from "../clock.ts";
import { Failure } from "../failure.ts";

/** How to start a program. Asked before every start, so that a file that has been removed meanwhile is put back. */
export interface Command {
  file: string;
  args: readonly string[];
  /** The whole environment: nothing of ours is handed down, there are secrets in it. */
  env?: Readonly<Record<string, string>>;
}

/** `starting` until it answers for the first time; `down` from its end until it answers again, and after `stop`. */
export type ProgramState = "starting" | "up" | "down";

/** A program that is started, watched, restarted when it ends or hangs, and never left behind. */
export interface RunningProgram {
  state(): ProgramState;
  /** Calls back at every change; the answer ends that. */
  onState(listener: (state: ProgramState) => void): () => void;
  /** The process, while there is one. */
  pid(): number | undefined;
  /** Ends it, if it runs, so that it starts anew at once, with what `command` says then. */
  restart(): void;
  /** Ends it: SIGTERM, then SIGKILL after 5 s. Resolves when the process is gone. Calling it again is fine. */
  stop(): Promise<void>;
}

export interface ProgramOptions {
  /** What messages call it. */
  name: string;
  command(): Promise<Command>;
  /** What of a line that it says may be logged; all of it by default. */
  tell?(line: string): string;
  /**
   * Whether it answers, decided within a second or two. Asked again and again from the start of the process on until it
   * does, and every five seconds from then on.
   */
  answers(): Promise<boolean>;
  log: Pick<Logger, "debug" | "info" | "warn" | "error">;
  /** Tells, until it is up, that nobody wants it any more. */
  stopping?: AbortSignal | undefined;
  clock?: Clock;
}

/** How often a starting program is asked whether it answers. */
const ASK_EVERY_MS = 5;
/** What has run for so long counts as healthy: its next end is the first one again. */
const HEALTHY_AFTER_MS = 60_000;
/**
 * One that has not answered for half a minute does not come back by itself. Sooner would be dear: its end is the end of the
 * calls that a relay carries, and a busy machine may keep it waiting.
 */
const WATCH_EVERY_MS = 5000;
const HUNG_AFTER = 6;
const STOP_WITHIN_MS = 5000;
/** The last words of a program that failed: enough for its reason. */
const LAST_LINES = 5;
const LAST_WORDS_MS = 100;

/** The pause before the next start, after so many ends in a row: 100 ms, doubling, 10 s at most. */
export const restartDelay = (ends: number): number => Math.min(100 * 2 ** (ends - 1), 10_000);

export const pause = (clock: Clock, ms: number): Promise<void> =>
  new Promise((resolve) => clock.after(ms, resolve));

/** One process of the program. */
interface Run {
  child: ChildProcess;
  /** Resolves when the process is gone, with what it said last; also when it could not be started. */
  ended: Promise<string>;
}

function run(command: Command, { log, tell }: ProgramOptions, clock: Clock): Run {
  const start = (): ChildProcess =>
    spawn(command.file, command.args, {
      // A session of its own: Ctrl-C reaches only us, and we stop it when nothing needs it any more.
      detached: true,
      // No "ignore": that needs /dev/null, which an empty root directory does not have.
      stdio: "pipe",
      cwd: "/",
      // Tells the part linked into it (scripts/native/end-with-parent.c) whose end is its end.
      env: { ...command.env, CHATRANDOM_PARENT_PID: String(process.pid) },
    });
  const child = privately(start);
  child.stdin?.end();
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    if (!stream) continue;
    createInterface({ input: stream }).on("line", (said) => {
      const line = tell?.(said) ?? said;
      lines.push(line);
      if (lines.length > LAST_LINES) lines.shift();
      log.debug({ line }, "said");
    });
  }
  // For the programs that do not have that part (one from PATH), when we end by process.exit().
  const kill = () => signal(child, "SIGKILL");
  process.once("exit", kill);
  const ended = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, killedBy) => {
      const tell = () => resolve([`exit ${code ?? killedBy}`, ...lines].join(" | "));
      // What it said last may still be in the pipe; a child of its own may hold the pipe open for long.
      const cancel = clock.after(LAST_WORDS_MS, tell);
      child.once("close", () => {
        cancel();
        tell();
      });
    });
  }).finally(() => process.off("exit", kill));
  return { child, ended };
}

/** Starts a process that makes no file which others could read: it inherits our mask of this moment. */
function privately(start: () => ChildProcess): ChildProcess {
  const umask = process.umask(0o077);
  try {
    return start();
  } finally {
    process.umask(umask);
  }
}

/**
 * Signals the process, if there is one. Hazard: a child that could not be spawned has no pid, and `kill` on it, in the
 * tick of the failure, signals our own process group.
 */
function signal(child: ChildProcess, name: NodeJS.Signals): void {
  if (child.pid && child.exitCode === null && child.signalCode === null) child.kill(name);
}

/**
 * Starts a program and keeps it running until it is stopped.
 * Hazard: call it in the main thread. A program ends with the *thread* that spawned it.
 * @returns when it answers for the first time
 * @throws Failure when it ends before that, with its last words, or is not wanted any more.
 */
export async function startProgram(options: ProgramOptions): Promise<RunningProgram> {
  const { name, log, clock = realClock, stopping: unwanted } = options;
  const listeners = new Set<(state: ProgramState) => void>();
  let state: ProgramState = "starting";
  let current: Run | undefined;
  let stopping: Promise<void> | undefined;
  let restarting = false;
  let endPause = () => {};

  const become = (next: ProgramState) => {
    if (next === state) return;
    state = next;
    for (const listener of listeners) listener(next);
  };

  /** One process from its start to its end; resolves with what it said last. */
  async function follow(onUp: () => void): Promise<string> {
    const command = await options.command();
    if (stopping) return "stopped";
    const { child, ended } = (current = run(command, options, clock));
    let alive = true;
    void ended.then(() => (alive = false));
    while (alive && !(await options.answers())) await Promise.race([ended, pause(clock, ASK_EVERY_MS)]);
    let stopWatching = () => {};
    if (alive && !stopping) {
      log.info({ pid: child.pid }, `${name} is up`);
      stopWatching = watch(child);
      become("up");
      onUp();
    }
    const words = await ended;
    stopWatching();
    current = undefined;
    become("down");
    return words;
  }

  /** Kills it when it hangs, which starts it again. */
  function watch(child: ChildProcess): () => void {
    let missed = 0;
    return clock.every(WATCH_EVERY_MS, async () => {
      missed = (await options.answers()) ? 0 : missed + 1;
      if (missed !== HUNG_AFTER || stopping || current?.child !== child) return;
      log.error({ pid: child.pid }, `${name} has not answered for half a minute; killing it`);
      signal(child, "SIGKILL");
    });
  }

  async function keepRunning(onFirstUp: () => void): Promise<void> {
    let wasUp = false;
    let ends = 0;
    while (!stopping) {
      const started = clock.now();
      const words = await follow(() => {
        wasUp = true;
        onFirstUp();
      }).catch((error: Error) => error.message);
      if (stopping) return;
      if (!wasUp) throw new Failure(`${name} does not start: ${words}`);
      if (restarting) {
        restarting = false;
        continue;
      }
      ends = clock.now() - started > HEALTHY_AFTER_MS ? 1 : ends + 1;
      const delay = restartDelay(ends);
      log.warn({ words, delay }, `${name} has ended; starting it again`);
      await new Promise<void>((resolve) => {
        const cancel = clock.after(delay, resolve);
        endPause = () => {
          cancel();
          resolve();
        };
      });
    }
  }

  async function stop(): Promise<void> {
    endPause();
    if (current) {
      const { child, ended } = current;
      signal(child, "SIGTERM");
      const cancel = clock.after(STOP_WITHIN_MS, () => {
        log.warn(`${name} does not end; killing it`);
        signal(child, "SIGKILL");
      });
      await ended;
      cancel();
    }
    await running;
    become("down");
  }

  let running = Promise.resolve();
  const abandon = (): void => void (stopping ??= stop());
  const stoppedEarly = () => new Failure(`${name} was stopped before it was up`);
  if (unwanted?.aborted) throw stoppedEarly();
  unwanted?.addEventListener("abort", abandon);
  await new Promise<void>((resolve, reject) => {
    running = keepRunning(resolve);
    running.then(() => reject(stoppedEarly()), reject);
  }).finally(() => unwanted?.removeEventListener("abort", abandon));
  return {
    state: () => state,
    onState(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    pid: () => current?.child.pid,
    restart() {
      if (!current) return;
      restarting = true;
      signal(current.child, "SIGTERM");
    },
    stop: () => (stopping ??= stop()),
  };
}
