/** Certificates and the credentials of TURN go by the clock, and nodes of a cluster should agree on it. */
import { type Finding, fine, skipped, warning, wrong } from "./finding.ts";

/** A clock that ours was compared with. */
export interface OtherClock {
  readonly whose: string;
  /** How far it is ahead of ours, in ms. */
  readonly ahead: number;
  /** How far that may be off, in ms. */
  readonly uncertain: number;
}

const NOTED_MS = 2_000;
const HARMFUL_MS = 30_000;

/** What to make of a time that was told somewhere between `asked` and `answered`; all in ms since the Unix epoch. */
export const compared = (
  whose: string,
  told: { at: number; granularity: number },
  asked: number,
  answered: number,
): OtherClock => ({
  whose,
  ahead: told.at + told.granularity / 2 - (asked + answered) / 2,
  uncertain: told.granularity / 2 + (answered - asked) / 2,
});

export function judgeClock(others: readonly OtherClock[]): Finding {
  const check = "clock";
  if (others.length === 0) return skipped(check, "there is no other clock to compare it with");
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
