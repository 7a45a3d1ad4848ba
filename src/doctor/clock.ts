/** Certificates and the credentials of TURN go by the clock, and nodes of a cluster should agree on it. */
import { isLoopback } from "../loopback.ts";
import { type Finding, fine, skipped, warning, wrong } from "./finding.ts";

interface Told {
  readonly whose: string;
  /** Where it was told; nowhere over a socket of this machine. */
  readonly addresses: readonly string[];
}

/** A clock that ours was compared with. */
export interface OtherClock extends Told {
  /** How far it is ahead of ours, in ms. */
  readonly ahead: number;
  /** How far that may be off, in ms. */
  readonly uncertain: number;
}

const NOTED_MS = 2_000;
const HARMFUL_MS = 30_000;

/** What to make of a time that was told somewhere between `asked` and `answered`; all in ms since the Unix epoch. */
export const compared = (
  by: Told,
  told: { at: number; granularity: number },
  asked: number,
  answered: number,
): OtherClock => ({
  ...by,
  ahead: told.at + told.granularity / 2 - (asked + answered) / 2,
  uncertain: told.granularity / 2 + (answered - asked) / 2,
});

/** @param own the addresses that lead to this machine, which agrees with itself */
export function judgeClock(clocks: readonly OtherClock[], own: readonly string[]): Finding {
  const check = "clock";
  const isOurs = (address: string): boolean => own.includes(address) || isLoopback(address);
  const others = clocks.filter(({ addresses }) => addresses.length > 0 && !addresses.some(isOurs));
  if (others.length === 0) return skipped(check, "no other machine's clock was seen");
  const off = ({ ahead, uncertain }: OtherClock): number => Math.max(0, Math.abs(ahead) - uncertain);
  const worst = others.reduce((a, b) => (off(b) > off(a) ? b : a));
  if (off(worst) <= NOTED_MS)
    return fine(check, `agrees with that of ${others.map(({ whose }) => whose).join(" and ")}`);
  const by = `${Math.round(off(worst) / 1000)} s ${worst.ahead > 0 ? "behind" : "ahead of"}`;
  const judge = off(worst) > HARMFUL_MS ? wrong : warning;
  return judge(
    check,
    `this machine's is ${by} that of ${worst.whose}`,
    "set both by the network: timedatectl set-ntp true",
  );
}
