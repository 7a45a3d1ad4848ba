import type { Chance } from "./chance.ts";
import type { Fault } from "./faults.ts";
import type { Links } from "./links.ts";
import type { Store } from "./store.ts";

export interface Scene {
  /** How likely it is that messages are slow. */
  slow: number;
  /** How likely a call to the store breaks. */
  breaks: number;
  /** How likely an envelope is lost. */
  loses: number;
  /** How likely something breaks where else somebody would do something; and what, each as likely as its weight. */
  fault: number;
  faults: Partial<Record<Fault, number>>;
}

const CALM: Scene = { slow: 0, breaks: 0, loses: 0, fault: 0, faults: {} };
const STORE = { "store away": 1, "store hangs": 1, "store wiped": 0.5 };
const LINKS = { "link cut": 2 };
const NODES = { "node killed": 1, "node paused": 2, "node drains": 1, "node starts": 1 };

export const SCENES = {
  calm: CALM,
  slow: { ...CALM, slow: 1 },
  store: { ...CALM, breaks: 0.02, fault: 0.02, faults: STORE },
  links: { ...CALM, loses: 0.02, fault: 0.02, faults: LINKS },
  nodes: { ...CALM, fault: 0.02, faults: NODES },
  everything: {
    slow: 0.5,
    breaks: 0.02,
    loses: 0.02,
    fault: 0.03,
    faults: { ...STORE, ...LINKS, ...NODES },
  },
} satisfies Record<string, Scene>;

const LEAST_MS = 0.05;
const USUAL_MOST_MS = 2;

export function setWeather({ slow, breaks, loses }: Scene, chance: Chance, store: Store, links: Links): void {
  const most = chance.happens(slow) ? chance.oneOf([20, 300, 1_500])! : USUAL_MOST_MS;
  // Now and then the links alone are slow.
  store.weather = { least: LEAST_MS, most: chance.happens(0.5) ? most : USUAL_MOST_MS, breaks };
  links.weather = { least: LEAST_MS, most, loses };
}
