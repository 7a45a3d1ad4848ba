/** What the model remembers of pairs of devices: a time for each other device, of which the newest stay. */
export class DeviceTimes {
  readonly #times = new Map<string, Map<string, number>>();

  /** Remembers one more for `device`, and only the newest `most`; of one time, those whose name comes last. */
  keep(device: string, other: string, time: number, most: number): void {
    const all = [...new Map(this.#times.get(device)).set(other, time)];
    all.sort(([a, x], [b, y]) => x - y || (a < b ? -1 : 1));
    this.#times.set(device, new Map(all.slice(Math.max(0, all.length - most))));
  }

  /** The later of the two times that either remembers of the other. */
  between(a: string, b: string): number {
    const [ours, theirs] = [this.#times.get(a)?.get(b), this.#times.get(b)?.get(a)];
    return Math.max(ours ?? -Infinity, theirs ?? -Infinity);
  }

  newest(device: string): number {
    return Math.max(-Infinity, ...(this.#times.get(device)?.values() ?? []));
  }
}
