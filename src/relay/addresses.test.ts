import { describe, expect, test } from "vitest";
import {
  bindable,
  isLost,
  listenHost,
  type Machine,
  type Nat,
  relayAddresses,
  signatureOf,
  type Wanted,
} from "./addresses.ts";
import { isOutward, isPublic } from "../address-ranges.ts";
import { hasIpv6Loopback } from "../test-ipv6.ts";

const machine = (addresses: string[], outward: string[] = []): Machine => ({
  interfaces: {
    all: ["127.0.0.1", "::1", "fe80::1", ...addresses].map((address) => ({ address }) as never),
    gone: undefined,
  },
  outward,
});
const wanted = (more: Partial<Omit<Wanted, "turn">> & Partial<Wanted["turn"]> = {}): Wanted => {
  const { host = "::", domain = "", ...turn } = more;
  return { host, domain, turn: { public_address: "", allow_private: "auto", ...turn, host: "" } };
};
const addresses = (more: Parameters<typeof wanted>[0], on: Machine, found?: Nat) => {
  const all = wanted(more);
  return relayAddresses(all, [listenHost(all)], on, found);
};

const HOME = machine(["172.17.0.1", "192.168.1.20", "fd00::20"], ["192.168.1.20", "fd00::20"]);
const RENTED = machine(["10.0.0.5", "8.8.4.4", "2606:4700::5"], ["8.8.4.4", "2606:4700::5"]);
const CLOUD = machine(["10.0.0.5"], ["10.0.0.5"]);

describe("the relay", () => {
  test("has lost an address that the machine has no more, and none that gave way to a better one", () => {
    const before = addresses({}, HOME);
    const better = machine(["192.168.1.20", "fd00::20", "8.8.4.4"], ["8.8.4.4"]);
    expect(addresses({}, better).relay).toContain("8.8.4.4");
    expect(isLost(before, addresses({}, better))).toBe(false);
    expect(isLost(before, addresses({}, machine(["8.8.4.4", "fd00::20"], ["8.8.4.4"])))).toBe(true);
  });

  test("of a machine in a private network is at the address that leads out, for private peers", () => {
    expect(addresses({}, HOME)).toMatchObject({
      relay: ["192.168.1.20", "fd00::20"],
      offered: ["192.168.1.20", "fd00::20"],
      listen: ["192.168.1.20", "fd00::20", "127.0.0.1", "::1", "172.17.0.1"],
      reach: "private",
      allowPrivate: true,
    });
  });

  test("of a machine with a public address is there, for public peers", () => {
    expect(addresses({}, RENTED)).toMatchObject({
      relay: ["8.8.4.4", "2606:4700::5"],
      offered: ["8.8.4.4", "2606:4700::5"],
      reach: "public",
      allowPrivate: false,
    });
  });

  test("with a public address of one family only offers that one", () => {
    const mixed = machine(["192.168.1.20", "2606:4700::5"], ["192.168.1.20", "2606:4700::5"]);
    const { offered, relay, allowPrivate } = addresses({}, mixed);
    expect({ offered, relay, allowPrivate }).toEqual({
      offered: ["2606:4700::5"],
      relay: ["192.168.1.20", "2606:4700::5"],
      allowPrivate: false,
    });
  });

  test("behind a NAT is known by the address that the operator gives", () => {
    expect(addresses({ public_address: "8.8.4.4" }, CLOUD)).toMatchObject({
      relay: ["10.0.0.5"],
      nat: { outside: "8.8.4.4", inside: "10.0.0.5" },
      offered: ["8.8.4.4"],
      reach: "public",
      allowPrivate: false,
    });
  });

  test("behind a NAT whose address is found is known by it like by one that is given", () => {
    const found = { outside: "8.8.4.4", inside: "10.0.0.5" };
    expect(addresses({}, CLOUD, found)).toEqual(addresses({ public_address: "8.8.4.4" }, CLOUD));
    const named = addresses({ domain: "chat.example" }, CLOUD, found);
    expect(named).toEqual(addresses({ domain: "chat.example", public_address: "8.8.4.4" }, CLOUD));
  });

  test("behind a NAT whose address is found offers it beside its public one of the other family", () => {
    const mixed = machine(["10.0.0.5", "2606:4700::5"], ["10.0.0.5", "2606:4700::5"]);
    expect(addresses({}, mixed, { outside: "8.8.4.4", inside: "10.0.0.5" })).toMatchObject({
      relay: ["10.0.0.5", "2606:4700::5"],
      nat: { outside: "8.8.4.4", inside: "10.0.0.5" },
      offered: ["8.8.4.4", "2606:4700::5"],
      reach: "public",
      allowPrivate: false,
    });
  });

  test("leaves an address that was found where an interface is public, or the one it stands for is gone", () => {
    const found = { outside: "8.8.8.8", inside: "10.0.0.5" };
    for (const now of [RENTED, HOME, machine([])])
      expect(addresses({}, now, found)).toEqual(addresses({}, now));
    expect(addresses({ public_address: "8.8.4.4" }, CLOUD, found).offered).toEqual(["8.8.4.4"]);
    expect(addresses({ host: "127.0.0.1" }, CLOUD, found).reach).toBe("this machine");
  });

  test("is at the address that the operator gives, where the machine has several", () => {
    const two = machine(["8.8.4.4", "8.8.8.8"], ["8.8.4.4"]);
    const found = addresses({ public_address: "8.8.8.8" }, two);
    expect(found.relay).toEqual(["8.8.8.8"]);
    expect(found.nat).toBeUndefined();
  });

  test("with a public address of a family that it does not listen on is refused", () => {
    expect(() => addresses({ public_address: "2606:4700::5" }, CLOUD)).toThrow("turn.host");
  });

  test("relays to private peers only where nobody else can come, or where the operator says so", () => {
    expect(addresses({ domain: "chat.example" }, CLOUD).allowPrivate).toBe(false);
    expect(addresses({ allow_private: true }, RENTED).allowPrivate).toBe(true);
    expect(addresses({ allow_private: false }, HOME).allowPrivate).toBe(false);
  });

  test("stays on loopback with the page, unless a domain says that a proxy is in front", () => {
    expect(addresses({ host: "127.0.0.1" }, RENTED)).toMatchObject({
      listen: ["127.0.0.1"],
      relay: ["127.0.0.1"],
      reach: "this machine",
    });
    expect(addresses({ host: "127.0.0.1", domain: "chat.example" }, RENTED).reach).toBe("public");
  });

  test("listens on IPv4 only where the page does, and on one address where it does", () => {
    expect(addresses({ host: "0.0.0.0" }, HOME).listen).not.toContain("::1");
    expect(addresses({ host: "172.17.0.1" }, HOME)).toMatchObject({
      listen: ["172.17.0.1"],
      relay: ["172.17.0.1"],
    });
  });

  test("of a machine without a network is for itself", () => {
    expect(addresses({}, machine([])).reach).toBe("this machine");
    expect(addresses({}, { interfaces: {}, outward: [] }).listen).toEqual(["127.0.0.1"]);
  });
});

test("an address that cannot be listened on is left out, as one of IPv6 in its first seconds", async () => {
  const given = ["127.0.0.1", "198.51.100.7", "::1", "2001:db8::7"];
  const found = await bindable({ all: given.map((address) => ({ address }) as never), none: undefined });
  const able = hasIpv6Loopback() ? ["127.0.0.1", "::1"] : ["127.0.0.1"];
  expect(found.all?.map(({ address }) => address)).toEqual(able);
});

test("a new temporary address of IPv6 is no change of the machine; another network is", () => {
  const before = signatureOf(machine(["192.168.1.20", "2606:4700:1:2::5"]));
  expect(signatureOf(machine(["192.168.1.20", "2606:4700:1:2:aa:bb:cc:dd"]))).toBe(before);
  expect(signatureOf(machine(["192.168.1.20", "2606:4700:1:3::5"]))).not.toBe(before);
  expect(signatureOf(machine(["192.168.1.21", "2606:4700:1:2::5"]))).not.toBe(before);
});

test.each([
  ["8.8.8.8", true, true],
  ["172.32.0.1", true, true],
  ["2606:4700::1", true, true],
  ["10.0.0.1", false, true],
  ["100.64.0.1", false, true],
  ["192.0.2.1", false, true],
  ["fd00::1", false, true],
  ["127.0.0.1", false, false],
  ["::1", false, false],
  ["169.254.1.1", false, false],
  ["fe80::1", false, false],
  ["::ffff:8.8.8.8", false, false],
  ["64:ff9b::808:808", false, false],
  ["2002:808:808::1", false, false],
  ["0.0.0.0", false, false],
  ["::", false, false],
  ["224.0.0.1", false, false],
  ["255.255.255.255", false, false],
])("%s is public: %s, outward: %s", (address, isPub, isOut) => {
  expect([isPublic(address), isOutward(address)]).toEqual([isPub, isOut]);
});
