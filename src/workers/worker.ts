/** A worker: one node of an appliance with several. The supervisor tells it what to run with, and when to end. */
import { EventEmitter } from "node:events";
import { BEAT_MS } from "./beat.ts";
import type { Failure } from "../failure.ts";
import type { SharedRelay } from "../relay/embedded-relay.ts";
import type { FromWorker, Metrics, Opened, Orders, Scraped, ToWorker } from "./messages.ts";

/** The channel to the supervisor: `process`, or what plays it in a test. */
export interface Channel extends EventEmitter {
  /** Not there when nobody has opened a channel. */
  send?(message: FromWorker, done: () => void): unknown;
}

/** How long a scrape may take: longer than the supervisor waits for its slowest worker. */
const SCRAPE_TIMEOUT_MS = 3_000;

export class Supervised {
  readonly #channel: Channel;
  readonly #exit: (code: number) => void;
  readonly #scrapes = new Map<number, PromiseWithResolvers<Scraped>>();
  /** The signals for `untilStopped`: however often it is told to stop, and by whom, that is once. */
  readonly signals = new EventEmitter();
  /** What to run with. Never resolves when the supervisor ends first. */
  readonly orders: Promise<Orders>;
  /** Answers `collect`. */
  metrics: () => Promise<Metrics> = async () => [];
  /** Where the relay is, once it has moved. */
  relay: SharedRelay | undefined;
  #asked = 0;
  #told = false;

  /** `exit` ends the process at once: the supervisor is gone, or there is nothing yet that would have to be ended. */
  constructor(channel: Channel, exit: (code: number) => void) {
    this.#channel = channel;
    this.#exit = exit;
    this.orders = new Promise((resolve) => {
      channel.on("message", (message: ToWorker) => {
        if (message.type === "start") resolve(message.orders);
        else this.#hear(message);
      });
    });
    channel.once("disconnect", () => exit(1));
    setInterval(() => void this.#send({ type: "alive" }), BEAT_MS).unref();
    for (const event of ["SIGTERM", "SIGINT"]) channel.on(event, () => this.#stop(event));
    // The supervisor reads the configuration again; without a listener it would end the process.
    channel.on("SIGHUP", () => {});
    for (const event of ["uncaughtException", "unhandledRejection"])
      channel.on(event, (thrown: unknown) => {
        if (!this.signals.emit(event, thrown)) exit(1);
      });
  }

  /** This worker can serve. */
  up({ host, certificate }: Opened): void {
    void this.#send({ type: "up", host, certificate });
  }

  /** This worker cannot start. Resolves when that is said. */
  refuse({ message, exitCode }: Pick<Failure, "message" | "exitCode">): Promise<void> {
    return this.#send({ type: "refused", message, exitCode });
  }

  /** The metrics of all workers. Rejects when the supervisor does not answer. */
  async scrape(): Promise<Scraped> {
    const scrape = (this.#asked += 1);
    const answer = Promise.withResolvers<Scraped>();
    this.#scrapes.set(scrape, answer);
    const timer = setTimeout(() => {
      answer.reject(new Error("the supervisor does not answer"));
    }, SCRAPE_TIMEOUT_MS);
    void this.#send({ type: "scrape", scrape });
    try {
      return await answer.promise;
    } finally {
      clearTimeout(timer);
      this.#scrapes.delete(scrape);
    }
  }

  #hear(message: Exclude<ToWorker, { type: "start" }>): void {
    if (message.type === "stop") this.#stop("asked by the supervisor");
    else if (message.type === "collect")
      void this.metrics().then((metrics) => this.#send({ type: "metrics", metrics }));
    else if (message.type === "relay") this.relay = message.relay;
    else this.#scrapes.get(message.scrape)?.resolve(message);
  }

  #stop(why: string): void {
    if (this.#told) return;
    this.#told = true;
    if (!this.signals.emit("SIGTERM", why)) this.#exit(0);
  }

  #send(message: FromWorker): Promise<void> {
    const channel = this.#channel;
    // What could not be sent needs nobody: the supervisor is gone, and so are we in a moment.
    return new Promise((resolve) => void (channel.send ? channel.send(message, resolve) : resolve()));
  }
}
