import { expect, test, vi } from "vitest";
import { StillClock } from "../still-clock.ts";
import type { Machine } from "./addresses.ts";
import { Whereabouts } from "./whereabouts.ts";

const machine = (...addresses: string[]): Machine => ({
  interfaces: { all: ["127.0.0.1", ...addresses].map((address) => ({ address }) as never) },
  outward: addresses.slice(0, 1),
});
const HOME = machine("192.168.1.20");
const WITH_CONTAINERS = machine("192.168.1.20", "172.17.0.1");
const ELSEWHERE = machine("10.0.0.5");
const NAT = { outside: "8.8.4.4", inside: "192.168.1.20" };

/** One on this machine, until it is `on` another, with this many calls. */
async function start(on: Machine, public_address = "") {
  const world = { on, calls: 0 };
  const log = { info: vi.fn() };
  const clock = new StillClock();
  const where = await Whereabouts.look({
    wanted: { host: "::", domain: "", turn: { host: "", public_address, allow_private: "auto" } },
    hosts: ["::"],
    machine: async () => world.on,
    clock,
    log,
  });
  return {
    world,
    clock,
    where,
    look: () => where.lookAgain(async () => world.calls > 0),
    said: () => log.info.mock.calls.map(([, message]) => message as string),
  };
}

test("stays where nothing has changed, and moves with the machine", async () => {
  const { world, where, look, said } = await start(HOME);
  expect(await look()).toBeUndefined();
  world.on = ELSEWHERE;
  expect(await look()).toEqual({ withMachine: true });
  expect(where.addresses.offered).toEqual(["10.0.0.5"]);
  expect(await look()).toBeUndefined();
  expect(said()).toEqual(["the relay has other addresses now; it starts again"]);
});

test("waits with what has come until there is no call, says so once, and forgets it when it has gone", async () => {
  const { world, where, look, said } = await start(HOME);
  world.on = WITH_CONTAINERS;
  world.calls = 1;
  for (let n = 0; n < 3; n += 1) expect(await look()).toBeUndefined();
  expect(where.addresses.own).not.toContain("172.17.0.1");
  expect(said()).toEqual([expect.stringContaining("when no call goes by it")]);
  world.on = HOME;
  world.calls = 0;
  expect(await look()).toBeUndefined();
  world.on = WITH_CONTAINERS;
  expect(await look()).toEqual({ withMachine: true });
});

test("does not wait for calls that have lost their address", async () => {
  const { world, look } = await start(HOME);
  world.on = ELSEWHERE;
  world.calls = 1;
  expect(await look()).toEqual({ withMachine: true });
});

test("is behind a NAT that was found, from the next look on, until its network is gone", async () => {
  const { world, where, look } = await start(HOME);
  expect(where.sought).toMatchObject({ inside: "192.168.1.20", relayed: ["192.168.1.20"] });
  where.found(NAT);
  expect(where.addresses.nat).toBeUndefined();
  expect(await look()).toEqual({ withMachine: false });
  expect(where.addresses).toMatchObject({ nat: NAT, offered: ["8.8.4.4"], reach: "public" });
  expect(where.sought).toMatchObject({ ...NAT, relayed: ["8.8.4.4"] });
  expect(await look()).toBeUndefined();
  for (const on of [ELSEWHERE, HOME]) {
    world.on = on;
    expect(await look()).toEqual({ withMachine: true });
    expect(where.addresses.nat).toBeUndefined();
  }
});

test("takes an address that was found within a minute, whatever calls there are", async () => {
  const { world, where, look, clock, said } = await start(HOME);
  world.calls = 1;
  where.found(NAT);
  expect(await look()).toBeUndefined();
  expect(said()).toEqual([expect.stringContaining("or in a minute")]);
  clock.move(59_999);
  expect(await look()).toBeUndefined();
  expect(where.addresses.allowPrivate).toBe(true);
  clock.move(1);
  expect(await look()).toEqual({ withMachine: false });
  expect(where.addresses).toMatchObject({ nat: NAT, allowPrivate: false });
});

test("waits for ever with what can wait, and counts the minute from when something came that cannot", async () => {
  const { world, where, look, clock } = await start(HOME);
  world.calls = 1;
  world.on = WITH_CONTAINERS;
  expect(await look()).toBeUndefined();
  clock.move(3_600_000);
  expect(await look()).toBeUndefined();
  where.found(NAT);
  expect(await look()).toBeUndefined();
});

test("has nothing to be found where it is public, or reached by this machine alone", async () => {
  for (const on of [machine("8.8.8.8"), machine()]) expect((await start(on)).where.sought).toBeUndefined();
});

test("stays where it was while the machine has no address for the NAT that is given, and says so once", async () => {
  const { world, where, look, said } = await start(HOME, "8.8.4.4");
  world.on = machine();
  for (let n = 0; n < 2; n += 1) expect(await look()).toBeUndefined();
  expect(said()).toEqual(["the relay stays at its addresses"]);
  expect(where.addresses.nat).toEqual(NAT);
  world.on = HOME;
  expect(await look()).toBeUndefined();
});
