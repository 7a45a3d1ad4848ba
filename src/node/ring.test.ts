import { expect, test } from "vitest";
import { StillClock } from "../still-clock.ts";
import { Ring } from "./ring.ts";

function ring(periodMs: number) {
  const clock = new StillClock(0);
  const visits: [at: number, member: string][] = [];
  const rounds: string[][] = [];
  const members = new Ring<string>(clock, periodMs, (visited) => {
    rounds.push([...visited]);
    for (const member of visited) visits.push([clock.now(), member]);
  });
  return { clock, visits, rounds, members };
}

test("every member is visited once a period, and the first time within one", () => {
  const { clock, visits, members } = ring(20_000);
  const names = Array.from({ length: 50 }, (_, n) => `member ${n}`);
  for (const name of names) {
    members.add(name);
    clock.move(130);
  }
  visits.length = 0;
  clock.move(60_000);
  for (const name of names) {
    const times = visits.filter(([, member]) => member === name).map(([at]) => at);
    expect(times).toHaveLength(3);
    expect(times[1]! - times[0]!).toBe(20_000);
  }
});

test("a new member waits for no longer than a period", () => {
  const { clock, visits, members } = ring(20_000);
  for (let n = 0; n < 100; n += 1) {
    members.add(`member ${n}`);
    clock.move(777);
  }
  clock.move(20_000);
  for (let n = 0; n < 100; n += 1) {
    const first = visits.find(([, member]) => member === `member ${n}`)!;
    expect(first[0] - 777 * n).toBeLessThanOrEqual(20_000);
  }
});

test("many are not visited in one turn", () => {
  const { clock, rounds, members } = ring(20_000);
  for (let n = 0; n < 1_000; n += 1) members.add(`member ${n}`);
  clock.move(20_000);
  expect(rounds).toHaveLength(20);
  for (const round of rounds) expect(round).toHaveLength(50);
});

test("who was removed is not visited again, also when a visit removes another", () => {
  const { clock, visits, members } = ring(1_000);
  members.add("a");
  members.add("b");
  clock.move(1_000);
  members.remove("a");
  members.remove("nobody");
  clock.move(1_000);
  expect(visits.map(([, member]) => member)).toEqual(["a", "b", "b"]);
  members.stop();
  clock.move(10_000);
  expect(visits).toHaveLength(3);
  expect(clock.pending).toBe(0);
});
