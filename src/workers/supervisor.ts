/**
 * The supervisor of an appliance with several workers: starts them, starts again who ends, answers a scrape with the
 * numbers of all, and ends when it is told to. It serves nobody itself.
 */
import type { Clock } from "../clock.ts";
import { restartDelay } from "../embedded/program.ts";
import { Failure } from "../failure.ts";
import type { Logger } from "../log.ts";
import type { EmbeddedRelay } from "../relay/embedded-relay.ts";
import type { FromWorker, Opened, Orders, ToWorker } from "./messages.ts";
import type { WorkerProcess } from "./process.ts";
import { Sums } from "./sums.ts";
import { BEAT_MS } from "./beat.ts";

export interface SupervisorParts {
  workers: number;
  /** Tells, before all workers are up, that they are not wanted any more; perhaps before the first is started. */
  stopping: AbortSignal;
  /** Asked before every start; `life` counts the starts of all workers. */
  orders(worker: number, life: number): Orders;
  start(): WorkerProcess;
  /** The relay that they share; undefined where there is none. */
  relay?: Pick<EmbeddedRelay, "shared" | "counts" | "onMove"> | undefined;
  /** How long workers may take to stop before they are killed, in ms. */
  stopWithin: number;
  log: Pick<Logger, "info" | "warn">;
  clock: Clock;
}

export interface Supervisor {
  /** What the workers have found out at their start; the same for all. */
  readonly opened: Opened;
  /** Has all workers drain, and resolves when every process is gone. Calling it again is fine. */
  stop(): Promise<void>;
}

/** What has run for so long counts as healthy: its next end is the first one again. */
export const HEALTHY_AFTER_MS = 60_000;
/**
 * For so many beats an up worker may be silent. Whoever hangs goes on getting his part of the connections; by then its
 * lease has run out twice. Counted and not measured: when we were stopped ourselves, nobody is to blame.
 */
export const SILENT_BEATS = 10;
/** How long a scrape waits for a worker that does not answer. */
export const SCRAPE_PATIENCE_MS = 1_000;

/** One process of a worker, from its start to its end. */
interface Life {
  readonly worker: number;
  readonly process: WorkerProcess;
  isUp: boolean;
  /** Beats since it last said anything. */
  silence: number;
  /** Whether it was asked for its numbers and has not answered yet. A worker that hangs is not asked again and again. */
  isAsked: boolean;
}

/**
 * Resolves when all workers can serve. Once they have, a worker that ends is started again for ever, with growing pauses.
 * @throws Failure when one cannot start in the first place, or `stopping` says so; no process is left then
 */
export async function supervise(parts: SupervisorParts): Promise<Supervisor> {
  if (parts.stopping.aborted) throw new Failure("told to stop before a worker was started");
  const team = new Team(parts);
  parts.stopping.addEventListener("abort", () => void team.stop());
  try {
    const opened = await Promise.all(Array.from({ length: parts.workers }, (_, worker) => team.hire(worker)));
    return { opened: opened[0]!, stop: () => team.stop() };
  } catch (error) {
    await team.stop();
    throw error;
  }
}

class Team {
  readonly #parts: SupervisorParts;
  readonly #sums = new Sums();
  readonly #lives = new Set<Life>();
  readonly #running: Promise<void>[] = [];
  readonly #pauses = new Set<() => void>();
  readonly #stopWatching: () => void;
  #born = 0;
  #restarts = 0;
  #onAnswer = (): void => {};
  #collecting: Promise<ReadonlySet<Life>> | undefined;
  #stopping: Promise<void> | undefined;

  constructor(parts: SupervisorParts) {
    this.#parts = parts;
    this.#stopWatching = parts.clock.every(BEAT_MS, () => this.#watch());
    const { relay } = parts;
    // From the first on: a worker is told where the relay is when it starts, and may take a while to be up.
    relay?.onMove(() => this.#tell({ type: "relay", relay: relay.shared() }));
  }

  /** Resolves when the worker can serve for the first time. */
  hire(worker: number): Promise<Opened> {
    return new Promise((resolve, reject) => {
      const running = this.#keepRunning(worker, resolve);
      running.then(() => reject(new Failure("told to stop before it was up")), reject);
      this.#running.push(running.catch(() => {}));
    });
  }

  #tell(message: ToWorker): void {
    for (const { process } of this.#lives) process.send(message);
  }

  stop(): Promise<void> {
    return (this.#stopping ??= this.#stop());
  }

  async #stop(): Promise<void> {
    const { clock, log, stopWithin } = this.#parts;
    for (const end of this.#pauses) end();
    this.#tell({ type: "stop" });
    const cancel = clock.after(stopWithin, () => {
      for (const { worker, process } of this.#lives) {
        log.warn({ worker }, "the worker does not end; killing it");
        process.kill();
      }
    });
    await Promise.all(this.#running);
    cancel();
    this.#stopWatching();
  }

  #watch(): void {
    for (const life of this.#lives) {
      life.silence += 1;
      if (!life.isUp || life.silence <= SILENT_BEATS) continue;
      this.#parts.log.warn({ worker: life.worker }, "the worker hangs; killing it");
      life.process.kill();
    }
  }

  async #keepRunning(worker: number, onFirstUp: (opened: Opened) => void): Promise<void> {
    const { clock, log } = this.#parts;
    let wasUp = false;
    let ends = 0;
    while (!this.#stopping) {
      const started = clock.now();
      // It rejects when the system has no memory for a process just now.
      const words = await this.#live(worker, (opened) => {
        wasUp = true;
        onFirstUp(opened);
      }).catch((error: Error) => error.message);
      if (this.#stopping) return;
      if (!wasUp)
        throw words instanceof Failure ? words : new Failure(`worker ${worker} does not start: ${words}`);
      ends = clock.now() - started > HEALTHY_AFTER_MS ? 1 : ends + 1;
      const delay = restartDelay(ends);
      this.#restarts += 1;
      const reason = words instanceof Failure ? words.message : words;
      log.warn({ worker, reason, delay }, "a worker has ended; starting it again");
      await this.#pause(delay);
    }
  }

  /** One process from its start to its end; resolves with how it ended, or with why it could not start. */
  async #live(worker: number, onUp: (opened: Opened) => void): Promise<string | Failure> {
    const { orders, start, log } = this.#parts;
    const number = (this.#born += 1);
    const process = start();
    const life: Life = { worker, process, isUp: false, silence: 0, isAsked: false };
    let refusal: Failure | undefined;
    this.#lives.add(life);
    process.onMessage((message) => {
      life.silence = 0;
      if (message.type === "alive") return;
      if (message.type === "up") {
        life.isUp = true;
        log.info({ worker, pid: process.pid }, "the worker is up");
        onUp(message);
      } else if (message.type === "refused") refusal = new Failure(message.message, message.exitCode);
      else this.#hear(life, message);
    });
    process.send({ type: "start", orders: orders(worker, number) });
    const words = await process.ended;
    this.#lives.delete(life);
    this.#sums.ended(life);
    this.#onAnswer();
    return refusal ?? words;
  }

  #pause(delay: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        this.#pauses.delete(end);
        resolve();
      };
      const cancel = this.#parts.clock.after(delay, end);
      this.#pauses.add(end);
    });
  }

  // Scrapes

  #hear(life: Life, message: Extract<FromWorker, { type: "scrape" | "metrics" }>): void {
    if (message.type === "scrape") {
      this.#answer(life, message.scrape).catch((err: unknown) => {
        this.#parts.log.warn({ worker: life.worker, err }, "a scrape could not be answered");
      });
    } else {
      life.isAsked = false;
      this.#sums.said(life, message.metrics);
      this.#onAnswer();
    }
  }

  async #answer({ process }: Life, scrape: number): Promise<void> {
    // Whoever asks while others wait for the same gets the same: strangers must not make work for all workers.
    const answered = await (this.#collecting ??= this.#collect().finally(
      () => (this.#collecting = undefined),
    ));
    const { workers } = this.#parts;
    const relay = await this.#parts.relay?.counts();
    const workforce = { workers, answered: answered.size, restarts: this.#restarts, relay };
    process.send({ type: "scraped", scrape, ...(await this.#sums.scraped(answered, workforce)) });
  }

  /** Asks every worker for its numbers; resolves with who has told them in time. */
  async #collect(): Promise<ReadonlySet<Life>> {
    const asked = [...this.#lives].filter(({ isUp, isAsked }) => isUp && !isAsked);
    for (const life of asked) {
      life.isAsked = true;
      life.process.send({ type: "collect" });
    }
    await new Promise<void>((resolve) => {
      const cancel = this.#parts.clock.after(SCRAPE_PATIENCE_MS, resolve);
      this.#onAnswer = () => {
        if (asked.some((life) => life.isAsked && this.#lives.has(life))) return;
        cancel();
        resolve();
      };
      this.#onAnswer();
    });
    this.#onAnswer = () => {};
    return new Set(asked.filter((life) => !life.isAsked && this.#lives.has(life)));
  }
}
