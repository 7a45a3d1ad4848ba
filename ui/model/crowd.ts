/**
 * Who is here beside this visitor, as far as the page can say: the node's numbers are of the whole place and count every
 * tab, so the other tabs of this browser are taken off them.
 */
import { computed, signal } from "@preact/signals";
import type { Phase } from "./state.ts";
import type { Doing, Tabs } from "./tabs.ts";

export class Crowd {
  readonly #tabs: Tabs;
  /** Both as the node counts. How many wait is null until it has said that this visitor does. */
  readonly #online = signal<number | null>(null);
  readonly #waiting = signal<number | null>(null);
  /** This browser counts once; null until the node said it. */
  readonly online = computed(() => {
    const count = this.#online.value;
    return count && Math.max(1, count - this.#tabs.counted.value.online);
  });
  /** How many others look, in whatever mode; null while the node has not said it for this search. */
  readonly othersLooking = computed(() => {
    const count = this.#waiting.value;
    return count && Math.max(0, count - 1 - this.#tabs.counted.value.waiting);
  });

  constructor(tabs: Tabs) {
    this.#tabs = tabs;
  }

  /** Whether the visitor looks or talks in another tab as well. */
  get otherTab(): Tabs["busy"] {
    return this.#tabs.busy;
  }

  /** Whether the node knows that this visitor waits. */
  get isCounted(): boolean {
    return this.#waiting.value !== null;
  }

  /** The node has said how many there are. */
  here(online: number): void {
    this.#online.value = online;
    this.#tabs.count();
  }

  /** The node has said how many look, this visitor among them. */
  looking(waiting: number): void {
    this.#waiting.value = waiting;
  }

  /** A search has begun of which the node has said nothing yet. */
  asked(): void {
    this.#waiting.value = null;
  }

  /** What this tab does, for the others: it counts where the node is in reach, and as one that waits once the node says so. */
  follow(phase: Phase, isReachable: boolean): void {
    this.#tabs.tell(isReachable ? this.#doing(phase) : null);
  }

  /** The page goes. */
  leave(): void {
    this.#tabs.tell(null);
  }

  #doing(phase: Phase): Doing {
    if (phase === "connecting" || phase === "talking") return "paired";
    return phase === "waiting" && this.isCounted ? "waiting" : "idle";
  }
}
