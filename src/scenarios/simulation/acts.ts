/** What visitors do. */
import type { Find } from "../../protocol/messages.ts";
import type { Chance } from "./chance.ts";
import type { Visitor } from "./visitor.ts";
import type { World } from "./world.ts";

/** How likely somebody who has gone comes back when it would be their turn to do something. */
const COMES_BACK = 0.1;

/** How much somebody says in the time that a page takes to connect again. */
const TALKS = 40;
const COMES_WITHIN_MS = 1_100;

interface Act {
  /** How likely next to the others, while the page believes in a pair and while it does not. */
  paired: number;
  alone: number;
  does(visitor: Visitor, world: World): void;
}

const ACTS = {
  find: { paired: 2, alone: 6, does: (visitor, { chance }) => visitor.say(() => anyWish(chance)) },
  leave: { paired: 1, alone: 1, does: (visitor) => visitor.say(() => ({ type: "leave" })) },
  signal: { paired: 8, alone: 0.2, does: (visitor) => visitor.signal() },
  block: {
    paired: 0.15,
    alone: 0.05,
    does: (visitor, { chance }) =>
      visitor.say(() => {
        const pair = currentOrLast(visitor, chance);
        return pair === undefined ? undefined : { type: "block", pair };
      }),
  },
  report: {
    paired: 0.15,
    alone: 0.05,
    does: (visitor, { chance }) =>
      visitor.say(() => {
        const pair = currentOrLast(visitor, chance);
        return pair === undefined ? undefined : { type: "report", pair, reason: "spam" };
      }),
  },
  /** Connects again at once, and the node hears that the connection before is over. */
  reload: {
    paired: 0.3,
    alone: 0.3,
    does: (visitor, world) => {
      visitor.disconnect(true);
      world.bring(visitor);
    },
  },
  /** The same, and the node does not hear of it. */
  vanish: {
    paired: 0.3,
    alone: 0.3,
    does: (visitor, world) => {
      visitor.disconnect(false);
      world.bring(visitor);
    },
  },
  /** Connects again, and the other side of the pair talks on meanwhile. */
  move: {
    paired: 0.4,
    alone: 0,
    does: (visitor, world) => {
      const { chance, timeline, visitors } = world;
      const pair = visitor.belief.state === "paired" ? visitor.belief.pair : undefined;
      const isOther = ({ belief }: Visitor) => belief.state === "paired" && belief.pair === pair;
      visitor.disconnect(chance.happens(0.8));
      world.bring(visitor);
      for (let n = 0; n < TALKS; n += 1)
        timeline.after(chance.between(0, COMES_WITHIN_MS), () => visitors.find(isOther)?.signal());
    },
  },
  go: {
    paired: 0.2,
    alone: 0.2,
    does: (visitor, { chance }) => visitor.disconnect(chance.happens(0.5)),
  },
} satisfies Record<string, Act>;

/** Some visitor does something. */
export function act(world: World): void {
  const { chance, journal } = world;
  const visitor = chance.oneOf(world.visitors);
  if (!visitor) return;
  if (!visitor.isConnected) {
    if (chance.happens(COMES_BACK)) world.bring(visitor);
    return;
  }
  const mood = visitor.belief.state === "paired" ? "paired" : "alone";
  const weights = Object.fromEntries(Object.entries(ACTS).map(([name, each]) => [name, each[mood]]));
  const what = chance.weighted(weights) as keyof typeof ACTS;
  journal.step(`${visitor.name}: ${what}`);
  journal.count(what);
  ACTS[what].does(visitor, world);
}

function currentOrLast({ belief, lastPair }: Visitor, chance: Chance): string | undefined {
  return belief.state === "paired" && chance.happens(0.8) ? belief.pair : lastPair;
}

function anyWish(chance: Chance): Find {
  const some = (of: string[]): string[] => of.filter(() => chance.happens(0.25));
  return {
    type: "find",
    mode: chance.happens(0.8) ? "text" : "video",
    interests: some(["music", "chess", "rust"]),
    languages: some(["en", "de"]),
    strict: chance.happens(0.05),
    ...(chance.happens(0.5) && { offer: "v=0" }),
  };
}
