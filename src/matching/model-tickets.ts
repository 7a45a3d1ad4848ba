import type { Common, Relaxation } from "../protocol/messages.ts";
import type { Wish } from "../session/match.ts";
import type { Rules } from "./matcher.ts";

/** A request for a partner, as the model has it: what M5 and M6 say of two of them, and nothing of who asks. */
export interface Ticket {
  wish: Wish;
  since: number;
  /** There while the ticket is in the pool; without it nobody can take the ticket. */
  insists?: Insists;
}

/** What a ticket must share with its partner, as of the last time that it asked (M6). */
export interface Insists {
  interests: boolean;
  languages: boolean;
}

type Preference = keyof Insists;
const PREFERENCES: readonly Preference[] = ["interests", "languages"];

const shared = (mine: Ticket, theirs: Ticket, what: Preference): string[] =>
  mine.wish[what].filter((one) => theirs.wish[what].includes(one));

/** M6: what a ticket insists on after it has waited for so long, and when the next of that gives way, if it does. */
export function insistence({ wish }: Ticket, waited: number, rules: Rules): Insists & { givesIn: number } {
  const after = { interests: rules.interestsAfter, languages: rules.languagesAfter };
  const insists = (what: Preference): boolean =>
    wish[what].length > 0 && (wish.strict || waited < after[what]);
  const times = PREFERENCES.map((what) => (insists(what) && !wish.strict ? after[what] - waited : Infinity));
  return { interests: insists("interests"), languages: insists("languages"), givesIn: Math.min(...times) };
}

/** What a ticket that is in the pool wished and does not insist on any more. */
export const relaxed = ({ wish, insists }: Ticket): Relaxation[] =>
  PREFERENCES.filter((what) => wish[what].length > 0 && !insists![what]);

/** M5, M6: whether two tickets may meet by what they wish. On each preference they share something, or neither insists. */
export function mayMeet(mine: Ticket, theirs: Ticket): boolean {
  if (!mine.insists || !theirs.insists || mine.wish.mode !== theirs.wish.mode) return false;
  const { insists: ours } = mine;
  const { insists: others } = theirs;
  return PREFERENCES.every((what) => (!ours[what] && !others[what]) || shared(mine, theirs, what).length > 0);
}

/** M5: compares whom a ticket is to be given first: most shared interests, then a shared language, then the longest wait. */
export const inOrderFor =
  (mine: Ticket) =>
  (a: Ticket, b: Ticket): number => {
    const interests = (other: Ticket): number => shared(mine, other, "interests").length;
    const speaks = (other: Ticket): number => Math.min(1, shared(mine, other, "languages").length);
    return interests(b) - interests(a) || speaks(b) - speaks(a) || a.since - b.since;
  };

export function commonOf(mine: Ticket, theirs: Ticket): Common {
  const [language] = shared(mine, theirs, "languages");
  return { interests: shared(mine, theirs, "interests"), ...(language && { language }) };
}
