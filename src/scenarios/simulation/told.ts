import type { Role } from "../../protocol/messages.ts";
import type { Journal } from "./journal.ts";

interface Pair {
  /** When the first of them was told. */
  since: number;
  roles: Map<string, Role>;
}

/** Which sessions were told of which pair, and as what (M1). */
export class Told {
  readonly #journal: Journal;
  readonly #pairs = new Map<string, Pair>();

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  add(session: string, pair: string, role: Role, now: number): void {
    const known = this.#pairs.get(pair) ?? { since: now, roles: new Map<string, Role>() };
    this.#pairs.set(pair, known);
    const { roles } = known;
    roles.set(session, role);
    this.#journal.require(roles.size <= 2, "M1", () => `${pair} has been told to ${roles.size} sessions`);
    const bothTheSame = roles.size === 2 && new Set(roles.values()).size === 1;
    this.#journal.require(!bothTheSame, "M1", () => `${pair} has no single offerer`);
  }

  has(session: string, pair: string): boolean {
    return this.#pairs.get(pair)?.roles.has(session) ?? false;
  }

  /** The other one who was told of the pair, if somebody was. */
  other(session: string, pair: string): string | undefined {
    return [...(this.#pairs.get(pair)?.roles.keys() ?? [])].find((told) => told !== session);
  }

  /** Whether both sides of the pair were told. */
  both(pair: string): boolean {
    return this.#pairs.get(pair)?.roles.size === 2;
  }

  /** When somebody was first told of the pair. */
  since(pair: string): number {
    return this.#pairs.get(pair)!.since;
  }
}
