import type { Clock } from "../../clock.ts";
import type { Timeline } from "./timeline.ts";

/**
 * What a node runs in. Killed, nothing of it happens any more. Paused, everything waits: when it goes on, what was due
 * meanwhile happens at once, timers before or after what came in, as `timersFirst` says.
 */
export class Process {
  readonly clock: Clock;
  state: "running" | "paused" | "dead" = "running";
  readonly #timeline: Timeline;
  #timers: (() => void)[] = [];
  #input: (() => void)[] = [];

  /** `skew` is how much its clock is off. */
  constructor(timeline: Timeline, skew: number) {
    this.#timeline = timeline;
    const after = (ms: number, what: () => void): (() => void) => {
      let cancelled = false;
      const cancel = timeline.after(ms, () => {
        this.#run(this.#timers, () => {
          if (!cancelled) what();
        });
      });
      return () => {
        cancelled = true;
        cancel();
      };
    };
    this.clock = {
      now: () => timeline.now + skew,
      after,
      every: (ms, what) => {
        let stop = (): void => {};
        const again = (): void => {
          stop = after(ms, () => {
            again();
            what();
          });
        };
        again();
        return () => stop();
      },
    };
  }

  /** Something comes in from outside. */
  input(what: () => void): void {
    this.#run(this.#input, what);
  }

  #run(backlog: (() => void)[], what: () => void): void {
    if (this.state === "running") what();
    else if (this.state === "paused") backlog.push(what);
  }

  goOn(timersFirst: boolean): void {
    this.state = "running";
    const all = timersFirst ? [...this.#timers, ...this.#input] : [...this.#input, ...this.#timers];
    this.#timers = [];
    this.#input = [];
    for (const what of all) this.#timeline.after(0, () => this.#run(this.#input, what));
  }
}
