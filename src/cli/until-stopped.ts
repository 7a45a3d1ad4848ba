/** The life of a server process: it starts, serves, is asked to stop or breaks, and stops in an orderly way. */
import type { EventEmitter } from "node:events";
import { Failure } from "../failure.ts";
import type { Logger } from "../log.ts";

/** What a started server owes; see `Running` in app.ts. */
export interface Stoppable {
  stop(): Promise<void>;
  readonly failed: Promise<Error>;
}

export interface Life<R extends Stoppable> {
  /** `stopping` tells that nobody wants it any more; it may reject then. */
  start(stopping: AbortSignal): Promise<R>;
  /** Called once, when visitors can come. */
  ready(running: R): void;
  /** SIGHUP. Undefined where it tells that the terminal is gone, and everything ends. */
  hangUp: (() => void) | undefined;
  /** How long `stop` may take before the process ends without it, in milliseconds. */
  stopTimeout: number;
  log: Logger;
  /** `process`, or what plays it in a test. */
  process: EventEmitter;
  /** Ends the process at once. */
  exit(code: number): void;
}

/** Returns the exit code: 0 after a signal, 1 when something broke. Rejects when it could not start. */
export async function untilStopped<R extends Stoppable>(life: Life<R>): Promise<0 | 1> {
  const { log, process } = life;
  const end = Promise.withResolvers<0 | 1>();
  const stopping = new AbortController();
  let running: R | undefined;
  let ending = false;

  const onSignal = (signal: string): void => {
    if (ending) {
      log.warn(`${signal} again: ending at once`);
      life.exit(1);
      return;
    }
    log.info(`${signal}: stopping`);
    finish(0);
  };
  const onBroken = (thrown: unknown): void => {
    if (thrown instanceof Failure) log.fatal(`stopping: ${thrown.message}`);
    else log.fatal({ err: thrown }, "stopping, because of a fault");
    if (ending) life.exit(1);
    else finish(1);
  };
  const finish = (code: 0 | 1): void => {
    ending = true;
    // Unreferenced, so that it never keeps a process alive that could end by itself.
    setTimeout(() => {
      log.fatal("stopping takes too long: ending without it");
      life.exit(1);
    }, life.stopTimeout).unref();
    end.resolve(code);
    if (!running) stopping.abort();
  };

  const listeners: Record<string, (...args: never[]) => void> = {
    SIGINT: onSignal,
    SIGTERM: onSignal,
    // The shell and the system tell it both. Without a listener it would end the process.
    SIGHUP: life.hangUp ?? ((signal: string) => ending || onSignal(signal)),
    uncaughtException: onBroken,
    unhandledRejection: onBroken,
  };
  for (const [event, listener] of Object.entries(listeners)) process.on(event, listener as () => void);
  try {
    running = await life.start(stopping.signal).catch((error: unknown) => {
      if (!ending) throw error;
      return undefined;
    });
    if (running && !ending) {
      life.ready(running);
      void running.failed.then((error) => {
        // What fails because we stop is no news.
        if (!ending) onBroken(error);
      });
    }
    const code = await end.promise;
    await running?.stop();
    log.info("stopped");
    return code;
  } finally {
    for (const [event, listener] of Object.entries(listeners)) process.off(event, listener as () => void);
  }
}
