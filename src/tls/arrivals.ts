/**
 * Connections that have not said yet what they want. They are cheap to open, so they are bounded twice: each has a
 * deadline, and when there are too many the oldest makes room.
 */
import type { Socket } from "node:net";
import type { Clock } from "../clock.ts";

export interface ArrivalRules {
  /** How long an arrival may take to say what it wants, in ms. */
  readonly timeout: number;
  readonly max: number;
}

const SWEEP_MS = 1_000;

export class Arrivals {
  /** Each with its deadline, oldest first. */
  readonly #waiting = new Map<Socket, number>();
  readonly #rules: ArrivalRules;
  readonly #clock: Clock;
  readonly #dropped: (reason: "slow" | "crowded") => void;
  readonly #stopSweeping: () => void;
  readonly #onClose: (this: Socket) => void;

  constructor(rules: ArrivalRules, clock: Clock, dropped: (reason: "slow" | "crowded") => void) {
    this.#rules = rules;
    this.#clock = clock;
    this.#dropped = dropped;
    const waiting = this.#waiting;
    this.#onClose = function () {
      waiting.delete(this);
    };
    this.#stopSweeping = clock.every(SWEEP_MS, () => this.#sweep());
  }

  add(socket: Socket): void {
    if (this.#waiting.size >= this.#rules.max) this.#drop(this.#waiting.keys().next().value!, "crowded");
    this.#waiting.set(socket, this.#clock.now() + this.#rules.timeout);
    socket.on("close", this.#onClose);
  }

  /** It has said what it wants: from now on somebody else sees to it. */
  settle(socket: Socket): void {
    this.#waiting.delete(socket);
    socket.removeListener("close", this.#onClose);
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Ends all that wait. */
  close(): void {
    this.#stopSweeping();
    for (const socket of this.#waiting.keys()) socket.destroy();
  }

  #sweep(): void {
    const now = this.#clock.now();
    for (const [socket, deadline] of this.#waiting) {
      if (deadline > now) return;
      this.#drop(socket, "slow");
    }
  }

  #drop(socket: Socket, reason: "slow" | "crowded"): void {
    this.#waiting.delete(socket);
    socket.destroy();
    this.#dropped(reason);
  }
}
