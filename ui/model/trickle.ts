/**
 * Candidates on their way out: the first goes at once, those that come on its heels travel together. Browsers find them
 * in bursts, and a message each would cost the node more than all else that a call says through it.
 */
import type { Candidate } from "./call-signal.ts";
import { MAX_CANDIDATES_PER_SIGNAL } from "./call-signal.ts";
import type { Clock } from "./clock.ts";

const TOGETHER_MS = 20;

export class Trickle {
  readonly #clock: Clock;
  readonly #send: (candidates: Candidate[]) => void;
  #waiting: Candidate[] = [];
  #stop: (() => void) | null = null;

  constructor(clock: Clock, send: (candidates: Candidate[]) => void) {
    this.#clock = clock;
    this.#send = send;
  }

  add(candidates: Candidate[]): void {
    this.#waiting.push(...candidates);
    if (!this.#stop) this.#next();
  }

  /** Forgets those that wait: their connection is gone. */
  clear(): void {
    this.#waiting = [];
    this.#stop?.();
    this.#stop = null;
  }

  #next(): void {
    this.#stop = null;
    const candidates = this.#waiting.splice(0, MAX_CANDIDATES_PER_SIGNAL);
    if (candidates.length === 0) return;
    this.#stop = this.#clock.after(TOGETHER_MS, () => this.#next());
    this.#send(candidates);
  }
}
