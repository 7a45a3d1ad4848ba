/**
 * Visits every member once a period, a slice every second or, of a long one, less often, so that thousands of
 * connections are not pinged in one turn of the event loop.
 */
import type { Clock } from "../clock.ts";

const SLICE_MS = 1000;
/** Of a long period the slices are longer. */
const MAX_SLICES = 600;

export class Ring<Member> {
  readonly #slots: Set<Member>[];
  readonly #slotOf = new Map<Member, Set<Member>>();
  readonly #stop: () => void;
  #next = 0;
  #adding = 0;

  constructor(clock: Clock, periodMs: number, visit: (members: Iterable<Member>) => void) {
    const slots = Math.min(Math.max(1, Math.round(periodMs / SLICE_MS)), MAX_SLICES);
    this.#slots = Array.from({ length: slots }, () => new Set());
    this.#stop = clock.every(periodMs / slots, () => {
      const slot = this.#slots[this.#next]!;
      this.#next = (this.#next + 1) % slots;
      if (slot.size > 0) visit([...slot]);
    });
  }

  /** The new member's first visit comes after one whole period at the latest. */
  add(member: Member): void {
    const slot = this.#slots[this.#adding]!;
    this.#adding = (this.#adding + 1) % this.#slots.length;
    slot.add(member);
    this.#slotOf.set(member, slot);
  }

  remove(member: Member): void {
    this.#slotOf.get(member)?.delete(member);
    this.#slotOf.delete(member);
  }

  stop(): void {
    this.#stop();
  }
}
