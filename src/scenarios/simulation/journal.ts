const MOST_LINES = 4_000;

/** What happens in the simulation: in lines for who reads a failure, and counted, so that a run of nothing is told. */
export class Journal {
  steps = 0;
  readonly counts: Record<string, number> = {};
  readonly lines: string[] = [];
  /** The first law that was broken. */
  broken: Error | undefined;
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  note(what: string): void {
    this.lines.push(`${(this.#now() / 1_000).toFixed(4)} ${what}`);
    if (this.lines.length > MOST_LINES) this.lines.splice(0, MOST_LINES / 2);
  }

  step(what: string): void {
    this.steps += 1;
    this.note(what);
  }

  count(what: string, many = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + many;
  }

  /** Noted and not thrown: a node that is being tested would take it for its own trouble. */
  require(holds: boolean, rule: string, what: () => string): void {
    if (!holds) this.broken ??= new Error(`${rule}: ${what()}`);
  }
}

/** What is worth a look of a message or of a call. */
export const brief = (value: unknown): string =>
  JSON.stringify(value, (key, part: unknown) => (TOO_LONG.has(key) ? undefined : part)) ?? "";
const TOO_LONG = new Set([
  "passed",
  "wish",
  "interests",
  "languages",
  "strict",
  "common",
  "offer",
  "settings",
  "iceServers",
]);
