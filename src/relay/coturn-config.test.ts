import { describe, expect, test } from "vitest";
import type { RelayAddresses } from "./addresses.ts";
import { coturnConfig, type CoturnSettings } from "./coturn-config.ts";

const addresses: RelayAddresses = {
  listen: ["8.8.4.4", "127.0.0.1", "10.0.0.5"],
  relay: ["8.8.4.4"],
  own: ["127.0.0.1", "10.0.0.5", "8.8.4.4", "8.8.4.5"],
  offered: ["8.8.4.4"],
  reach: "public",
  allowPrivate: false,
};
const settings: CoturnSettings = {
  addresses,
  port: 3478,
  proxyPort: 40_000,
  limits: {
    session_allocations: 24,
    max_allocations: 4_000,
    bandwidth: 655_360,
    total_bandwidth: 0,
    allocation_lifetime: 600_500,
    min_port: 50_000,
    max_port: 60_000,
  },
  secret: "5ecret",
  pidFile: "/run/relay.pid",
};
const linesOf = (more: Partial<RelayAddresses> = {}, limits = {}): string[] =>
  coturnConfig({
    ...settings,
    addresses: { ...addresses, ...more },
    limits: { ...settings.limits, ...limits },
  }).split("\n");

test("coturn listens where it is told, has its limits, and no other door", () => {
  const lines = linesOf();
  expect(lines).toEqual(
    expect.arrayContaining([
      "listening-ip=8.8.4.4",
      "listening-ip=127.0.0.1",
      "listening-port=3478",
      "tcp-proxy-port=40000",
      "relay-ip=8.8.4.4",
      "min-port=50000",
      "max-port=60000",
      "use-auth-secret",
      "static-auth-secret=5ecret",
      "user-quota=24",
      "total-quota=4000",
      "max-bps=655360",
      "max-allocate-lifetime=601",
      "no-cli",
      "no-tcp-relay",
      "no-tls",
      "no-dtls",
      "no-multicast-peers",
      "pidfile=/run/relay.pid",
    ]),
  );
  expect(lines.join()).not.toMatch(/external-ip|bps-capacity|allow-loopback|userdb|web-admin/);
});

test("a NAT in front, and what is promised in total, are told where there is any", () => {
  const nat = { outside: "8.8.4.4", inside: "10.0.0.5" };
  expect(linesOf({ nat, relay: ["10.0.0.5"] })).toContain("external-ip=8.8.4.4/10.0.0.5");
  expect(linesOf({}, { total_bandwidth: 1e8 })).toContain("bps-capacity=100000000");
});

test("who asks for no family gets IPv6 where IPv4 is not offered", () => {
  const family = "allocation-default-address-family=ipv6";
  expect(linesOf()).not.toContain(family);
  const six = "2606:4700::5";
  expect(linesOf({ relay: ["8.8.4.4", six], offered: ["8.8.4.4", six] })).not.toContain(family);
  expect(linesOf({ relay: [six], offered: [six] })).toContain(family);
  expect(linesOf({ relay: ["10.0.0.5", six], offered: [six] })).toContain(family);
});

describe("peers", () => {
  test("at our own relay address are let through", () => {
    const lines = linesOf();
    expect(lines.filter((line) => line.startsWith("allowed"))).toEqual(["allowed-peer-ip=8.8.4.4"]);
    expect(lines).not.toContain("denied-peer-ip=8.8.4.4");
  });

  test("of special ranges are denied, private ones unless they are allowed", () => {
    const always = [
      "127.0.0.0-127.255.255.255",
      "169.254.0.0-169.254.255.255",
      "::ffff:0:0-::ffff:ffff:ffff",
    ];
    const mostly = ["10.0.0.0-10.255.255.255", "100.64.0.0-100.127.255.255", "192.0.2.0-192.0.2.255"];
    const denied = (ranges: string[]) => ranges.map((range) => `denied-peer-ip=${range}`);
    expect(linesOf()).toEqual(expect.arrayContaining(denied([...always, ...mostly])));
    const allowing = linesOf({ allowPrivate: true });
    expect(allowing).toEqual(expect.arrayContaining(denied(always)));
    for (const line of denied(mostly)) expect(allowing).not.toContain(line);
  });

  test("of loopback are refused but for the relay itself where nobody else reaches it", () => {
    const lines = linesOf({ reach: "this machine", relay: ["127.0.0.1"], listen: ["127.0.0.1"] });
    expect(lines).toEqual(expect.arrayContaining(["allow-loopback-peers", "allowed-peer-ip=127.0.0.1"]));
    for (const each of [lines, linesOf()]) expect(each).toContain("denied-peer-ip=127.0.0.0-127.255.255.255");
    expect(linesOf()).not.toContain("allow-loopback-peers");
  });
});
