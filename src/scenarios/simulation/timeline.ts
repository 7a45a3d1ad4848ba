interface Moment {
  at: number;
  order: number;
  what: (() => void) | undefined;
}

/** The simulation's time: events in the order of their times, and of their making where the times are equal. */
export class Timeline {
  now = 0;
  readonly #heap: Moment[] = [];
  #order = 0;

  /** The returned function cancels it. */
  at(time: number, what: () => void): () => void {
    const moment: Moment = { at: Math.max(time, this.now), order: this.#order++, what };
    const heap = this.#heap;
    let child = heap.push(moment) - 1;
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (isBefore(heap[parent]!, moment)) break;
      heap[child] = heap[parent]!;
      child = parent;
    }
    heap[child] = moment;
    return () => {
      moment.what = undefined;
    };
  }

  after(ms: number, what: () => void): () => void {
    return this.at(this.now + ms, what);
  }

  /** Goes on to the next event. False when it was cancelled or there was none. */
  next(): boolean {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (!first || !last) return false;
    if (heap.length > 0) {
      let parent = 0;
      for (;;) {
        let child = 2 * parent + 1;
        if (child >= heap.length) break;
        if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
        if (isBefore(last, heap[child]!)) break;
        heap[parent] = heap[child]!;
        parent = child;
      }
      heap[parent] = last;
    }
    if (!first.what) return false;
    this.now = first.at;
    first.what();
    return true;
  }
}

const isBefore = (a: Moment, b: Moment): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);
