/** What is counted at the relay's own process. Whoever runs it tells: a node, or the supervisor of several. */

export interface RelayCounts extends Readonly<Refusals> {
  /** How many allocations there are; 0 also where the system does not tell. */
  readonly allocations: number;
}

/** Since it was opened. */
export interface Refusals {
  /** How many new clients of the relay's own port were turned away. */
  turnedAway: number;
  /** What else it has refused, also to who is no client yet. */
  refused: Record<RefusalCause, number>;
}

/** As scripts/native/coturn.patch names them. */
export const REFUSAL_CAUSES = [
  /** Username or password are wrong, or have run out. */
  "credentials",
  /** The nonce is somebody else's, or has grown old. */
  "stale_nonce",
  /** An allocation that is there already or is not there, or another username than before. */
  "mismatch",
  /** A peer that nobody is relayed to, or that there is no permission for. */
  "forbidden_peer",
  /** No allocation is left: of this username or in all. */
  "quota",
  /** What is no STUN, or wrong in itself. */
  "malformed",
  /** A stream that got no allocation in time. */
  "idle",
  /** Every other error. */
  "other",
] as const;
export type RefusalCause = (typeof REFUSAL_CAUSES)[number];

export const noRefusals = (): Refusals => ({
  turnedAway: 0,
  refused: Object.fromEntries(REFUSAL_CAUSES.map((cause) => [cause, 0])) as Refusals["refused"],
});

/**
 * Adds what the relay says in a line, as it does every few seconds while it refuses something. No words of a client begin
 * a line: scripts/native/coturn.patch sees to it.
 */
export function addRefusals(counts: Refusals, line: string): void {
  const [, what, times] = /^\d+: : (clients turned away:|refused: [a-z_]+) (\d{1,15})$/.exec(line) ?? [];
  if (what === "clients turned away:") counts.turnedAway += Number(times);
  const cause = REFUSAL_CAUSES.find((each) => what === `refused: ${each}`);
  if (cause) counts.refused[cause] += Number(times);
}

export const ALLOCATIONS = {
  name: "chatrandom_relay_allocations",
  help: "Ports that the relay has given to visitors",
} as const;

export const TURNED_AWAY = {
  name: "chatrandom_relay_clients_refused_total",
  help: "New clients of the relay's own port that were refused, because one address brought too many",
} as const;

export const REFUSED = {
  name: "chatrandom_relay_requests_refused_total",
  help: "Requests to the relay, and data for it, that were refused",
} as const;
