/** What is counted at the relay's own process. Whoever runs it tells: a node, or the supervisor of several. */

export interface RelayCounts {
  /** How many allocations there are; 0 also where the system does not tell. */
  readonly allocations: number;
  /** How many new clients of the relay's own port were turned away since it was started. */
  readonly turnedAway: number;
}

export const ALLOCATIONS = {
  name: "chatrandom_relay_allocations",
  help: "Ports that the relay has given to visitors",
} as const;

export const TURNED_AWAY = {
  name: "chatrandom_relay_clients_refused_total",
  help: "New clients of the relay's own port that were refused, because one address brought too many",
} as const;
