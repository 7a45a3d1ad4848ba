/**
 * Plays the world of this folder (`world.ts`) by seeds. Where a law is broken, the seed, the step and what happened before
 * it are printed; the same seed plays the same again. Other seeds, and how many steps of each:
 *
 *   CHATRANDOM_SIMULATION_SEEDS=8 npm run unit -- src/scenarios/simulation
 *   CHATRANDOM_SIMULATION_SEEDS=100-300 CHATRANDOM_SIMULATION_STEPS=50000 npm run unit -- src/scenarios/simulation
 */
import { describe, expect, test } from "vitest";
import { LIES } from "./lies.ts";
import { World } from "./world.ts";

const SEEDS = process.env["CHATRANDOM_SIMULATION_SEEDS"] ?? "1-20";
const STEPS = Number(process.env["CHATRANDOM_SIMULATION_STEPS"] ?? 8_000);
const [FIRST = 1, LAST = FIRST] = SEEDS.split("-").map(Number);
/** Of what happened before a law was broken. */
const LINES = 200;

/** What must have happened in so many steps, or they have tested nothing: a third of what does. */
const AT_LEAST_IN = 160_000;
const AT_LEAST = {
  matched: 1_300,
  undone: 70,
  "node killed": 80,
  "node paused": 150,
  "node drains": 80,
  "link cut": 150,
  "envelopes lost": 100,
  "store away": 100,
  "store hangs": 100,
  "store wiped": 40,
  "resumed elsewhere": 1_300,
  "resumed waiting": 1_000,
  "resumed paired": 270,
  "signals link": 800,
  "signals heard": 1_000,
  reported: 130,
  rests: 80,
};

test("M1, M2, M8, S3: nobody is in two pairs, told nonsense or lost, whatever breaks", async () => {
  const counts: Record<string, number> = {};
  let steps = 0;
  for (let seed = FIRST; seed <= LAST; seed++) {
    const { journal } = await play(seed);
    steps += journal.steps;
    for (const [what, count] of Object.entries(journal.counts)) counts[what] = (counts[what] ?? 0) + count;
  }
  expect(steps).toBeGreaterThanOrEqual((LAST - FIRST + 1) * STEPS);
  if (steps < AT_LEAST_IN) return;
  for (const [what, least] of Object.entries(AT_LEAST)) {
    expect(counts[what], what).toBeGreaterThanOrEqual(least);
  }
}, 3_600_000);

async function play(seed: number): Promise<World> {
  const world = new World(seed);
  const { journal } = world;
  try {
    await world.run(STEPS);
  } catch (error) {
    const before = journal.lines.slice(-LINES).join("\n");
    const again = `CHATRANDOM_SIMULATION_SEEDS=${seed} breaks a law at step ${journal.steps}`;
    throw new Error(`${before}\n${again}: ${(error as Error).message}`, { cause: error });
  }
  return world;
}

describe("an arbiter is found out that", () => {
  test.each(Object.entries(LIES))("%s", async (_, arbiter) => {
    const playOn = async (): Promise<void> => {
      for (let seed = 1; seed <= 60; seed++) await new World(seed, arbiter).run(8_000);
    };
    await expect(playOn()).rejects.toThrow(/^(M\d|S\d|lost): /);
  });
});

test("a seed plays the same again", async () => {
  const play = async () => {
    const world = new World(1);
    await world.run(1_000);
    return world.journal.lines;
  };
  expect(await play()).toEqual(await play());
});
