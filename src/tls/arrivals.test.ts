import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { beforeEach, expect, test } from "vitest";
import { StillClock } from "../still-clock.ts";
import { Arrivals } from "./arrivals.ts";

/** What an arrival is to those who wait for it: it closes when it is destroyed. */
class FakeSocket extends EventEmitter {
  destroyed = false;
  destroy(): void {
    this.destroyed = true;
    this.emit("close");
  }
}

const clock = new StillClock();
let dropped: string[];
let arrivals: Arrivals;
beforeEach(() => {
  dropped = [];
  arrivals = new Arrivals({ timeout: 10_000, max: 3 }, clock, (reason) => void dropped.push(reason));
});

function arrive(): FakeSocket {
  const socket = new FakeSocket();
  arrivals.add(socket as unknown as Socket);
  return socket;
}

test("one that says nothing is dropped at its deadline, not before", () => {
  const slow = arrive();
  clock.move(9_000);
  const later = arrive();
  expect(slow.destroyed).toBe(false);
  clock.move(1_000);
  expect([slow.destroyed, later.destroyed, dropped]).toEqual([true, false, ["slow"]]);
});

test("one that has said what it wants is left alone", () => {
  const settled = arrive();
  arrivals.settle(settled as unknown as Socket);
  clock.move(60_000);
  expect([settled.destroyed, arrivals.size, settled.listenerCount("close")]).toEqual([false, 0, 0]);
});

test("when there are too many, the oldest makes room", () => {
  const sockets = Array.from({ length: 5 }, arrive);
  expect(sockets.map(({ destroyed }) => destroyed)).toEqual([true, true, false, false, false]);
  expect(dropped).toEqual(["crowded", "crowded"]);
  expect(arrivals.size).toBe(3);
});

test("one that goes by itself is forgotten, and is no drop", () => {
  arrive().destroy();
  expect([arrivals.size, dropped]).toEqual([0, []]);
});

test("closing ends all of them and the timer", () => {
  const before = clock.pending;
  const another = new Arrivals({ timeout: 1, max: 1 }, clock, () => {});
  expect(clock.pending).toBe(before + 1);
  another.close();
  expect(clock.pending).toBe(before);
  const socket = arrive();
  arrivals.close();
  expect([socket.destroyed, arrivals.size]).toEqual([true, 0]);
});
