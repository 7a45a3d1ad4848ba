/** Chance that comes out the same for the same seed. */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** From 0 to less than 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
  between(least: number, most: number): number {
    return least + this.next() * (most - least);
  }
  /** From 0 to less than `most`. */
  whole(most: number): number {
    return Math.floor(this.next() * most);
  }
  happens(probability: number): boolean {
    return this.next() < probability;
  }
  oneOf<T>(all: readonly T[]): T | undefined {
    return all[this.whole(all.length)];
  }
  /** One of the names, each as likely as its weight. */
  weighted<Name extends string>(weights: Record<Name, number>): Name {
    const names = Object.keys(weights) as Name[];
    let rest = this.next() * names.reduce((sum, name) => sum + weights[name], 0);
    for (const name of names) {
      rest -= weights[name];
      if (rest < 0) return name;
    }
    return names.at(-1)!;
  }
  bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.whole(256));
  }
}
