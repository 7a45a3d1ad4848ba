import { expect, test } from "vitest";
import { Addresses } from "./addresses.ts";

const RATES = {
  connections: { burst: 3, perSecond: 1 },
  sessions: { burst: 2, perSecond: 1 },
  finds: { burst: 1, perSecond: 0.5 },
};
const addresses = () => new Addresses(RATES, new Uint8Array(32));

test("T7: IPv4 counts by the address, in whatever way it is written", () => {
  const { keyOf } = bound();
  expect(keyOf("10.0.0.1")).toBeDefined();
  expect(keyOf("10.0.0.1")).not.toBe(keyOf("10.0.0.2"));
  for (const same of ["::ffff:10.0.0.1", "::FFFF:10.0.0.1", "::ffff:a00:1", "0:0:0:0:0:ffff:a00:1"]) {
    expect(keyOf(same)).toBe(keyOf("10.0.0.1"));
  }
});

test("T7: IPv6 counts by /64", () => {
  const { keyOf } = bound();
  const network = keyOf("2001:db8:1:2::1");
  for (const same of [
    "2001:db8:1:2::2",
    "2001:0db8:0001:0002:ffff:ffff:ffff:ffff",
    "2001:DB8:1:2:0:0:0:1",
    "2001:db8:1:2:3:4:5:6%eth0",
    "2001:db8:1:2:3:4:1.2.3.4",
  ]) {
    expect(keyOf(same)).toBe(network);
  }
  for (const other of ["2001:db8:1:3::1", "2001:db8::1:2:0:1", "2001:db8:1::2", "::2001:db8:1:2"]) {
    expect(keyOf(other)).not.toBe(network);
  }
  expect(keyOf("2001:db8::1")).toBe(keyOf("2001:db8:0:0:ffff::"));
  expect(keyOf("fe80::1%eth0")).toBe(keyOf("fe80::2"));
});

test.each(["127.0.0.1", "127.255.0.9", "::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1", "::ffff:7f00:1"])(
  "T7: loopback does not count: %s",
  (ip) => {
    expect(bound().keyOf(ip)).toBeUndefined();
  },
);

test("what is no address counts as one, and never fails", () => {
  const { keyOf } = bound();
  for (const odd of ["", "unknown", "%", "::::", "1.2.3.4.5", "é", "1.2.3.4:99999"])
    expect(keyOf(odd)).toBeDefined();
});

test("a key says nothing about the address, and is another in another process", () => {
  const [one, other] = [
    new Addresses(RATES, new Uint8Array(32)),
    new Addresses(RATES, new Uint8Array(32).fill(1)),
  ];
  expect(one.keyOf("10.0.0.1")).not.toContain("10.0.0.1");
  expect(one.keyOf("10.0.0.1")).not.toBe(other.keyOf("10.0.0.1"));
});

test("T7: connections, sessions and finds have a bucket each, for each address", () => {
  const all = addresses();
  for (const [what, burst] of [
    ["connections", 3],
    ["sessions", 2],
    ["finds", 1],
  ] as const) {
    for (let n = 0; n < burst; n += 1) expect(all.take("a", what, 0)).toBe(0);
    expect(all.take("a", what, 0)).toBe(what === "finds" ? 2 : 1);
    expect(all.take("b", what, 0)).toBe(0);
    expect(all.take(undefined, what, 0)).toBe(0);
  }
  expect(all.take("a", "finds", 1_999)).toBeGreaterThan(0);
  expect(all.take("a", "finds", 2_000)).toBe(0);
});

test("an address is forgotten once it may do everything again, and no sooner", () => {
  const all = addresses();
  for (let n = 0; n < 3; n += 1) all.take("a", "connections", 0);
  all.take("b", "connections", 0);
  all.sweep(1_500);
  expect(all.size).toBe(1);
  expect(all.take("a", "connections", 1_500)).toBe(0);
  all.sweep(10_000);
  expect(all.size).toBe(0);
});

test("however many addresses come between two sweeps, memory stays bounded, and the limits of the newest hold", () => {
  const all = addresses();
  for (let n = 0; n < 60_000; n += 1) all.take(`address ${n}`, "finds", 0);
  expect(all.size).toBeLessThanOrEqual(50_000);
  expect(all.take("address 59999", "finds", 0)).toBeGreaterThan(0);
});

function bound() {
  const all = addresses();
  return { keyOf: (ip: string) => all.keyOf(ip) };
}
