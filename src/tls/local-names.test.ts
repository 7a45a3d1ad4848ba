import { expect, test } from "vitest";
import { localNames } from "./local-names.ts";

const interfaces = {
  lo: [{ address: "127.0.0.1" }, { address: "::1" }],
  eth0: [{ address: "192.168.1.20" }, { address: "fe80::1" }, { address: "2001:db8::20" }],
  gone: undefined,
} as never;

test("names come first, then every address that can stand in a certificate", () => {
  expect(localNames("Laptop", interfaces)).toEqual([
    "localhost",
    "laptop",
    "laptop.local",
    "127.0.0.1",
    "::1",
    "192.168.1.20",
    "2001:db8::20",
  ]);
});

test("what the owner configured comes before all", () => {
  expect(localNames("host.lan", {}, ["chat.example", "localhost"])).toEqual([
    "chat.example",
    "localhost",
    "host.lan",
    "127.0.0.1",
    "::1",
  ]);
});

test.each(["", "a b", "ümlaut", "-a", "a..b", "x".repeat(300)])("%j is no name", (hostname) => {
  expect(localNames(hostname, {})).toEqual(["localhost", "127.0.0.1", "::1"]);
});

test("the bridges of containers do not make a certificate that no handshake carries", () => {
  const bridges = Array.from({ length: 500 }, (_, n) => ({ address: `172.17.${n % 250}.${n}` }));
  expect(localNames("a", { docker: bridges } as never).length).toBeLessThanOrEqual(64);
});
