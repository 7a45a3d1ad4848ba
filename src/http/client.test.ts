import type { IncomingMessage } from "node:http";
import { describe, expect, test } from "vitest";
import { clientOf } from "./client.ts";

const request = (
  remoteAddress: string | undefined,
  headers: IncomingMessage["headers"] = {},
): IncomingMessage =>
  ({ socket: { remoteAddress }, connection: { remoteAddress }, headers }) as unknown as IncomingMessage;

describe("the address", () => {
  test("is the peer's, whatever it says it forwards", () => {
    const client = clientOf([], []);
    const spoofed = { "x-forwarded-for": "1.2.3.4", forwarded: "for=1.2.3.4", "x-real-ip": "1.2.3.4" };
    for (const peer of ["203.0.113.5", "127.0.0.1", "::1", "::ffff:10.0.0.1", "fe80::1%eth0"]) {
      expect(client.address(request(peer, spoofed))).toBe(peer);
    }
  });

  test("is what a trusted proxy forwards, and no further back than the last that is not trusted", () => {
    const client = clientOf(["10.0.0.0/8", "fd00::/8"], []);
    const via = (peer: string, chain: string) => client.address(request(peer, { "x-forwarded-for": chain }));
    expect(via("10.1.2.3", "198.51.100.7")).toBe("198.51.100.7");
    expect(via("::ffff:10.1.2.3", "198.51.100.7")).toBe("198.51.100.7");
    expect(via("fd00::1", "2001:db8::7")).toBe("2001:db8::7");
    expect(via("10.1.2.3", "1.2.3.4, 198.51.100.7, 10.9.9.9")).toBe("198.51.100.7");
    expect(via("203.0.113.5", "198.51.100.7")).toBe("203.0.113.5");
  });

  test("of a socket that is gone is no address, and no error", () => {
    expect(clientOf(["loopback"], []).address(request(undefined))).toBe("");
  });
});

describe("a visitor of a private network", () => {
  test.each([
    ["127.0.0.1", true],
    ["::1", true],
    ["::ffff:127.0.0.1", true],
    ["192.168.1.5", true],
    ["::ffff:10.0.0.1", true],
    ["172.31.0.1", true],
    ["172.32.0.1", false],
    ["100.64.0.1", true],
    ["100.63.0.1", false],
    ["169.254.3.4", true],
    ["fd12::1", true],
    ["fe80::1%eth0", true],
    ["2001:db8::7", false],
    ["198.51.100.7", false],
    [undefined, false],
  ])("at %s is known as one: %s", (peer, lan) => {
    expect(clientOf([], []).isLan(request(peer))).toBe(lan);
  });

  test("is known by what a trusted proxy forwards, and not at all behind one that is not trusted", () => {
    for (const header of ["x-forwarded-for", "forwarded", "x-real-ip"])
      expect(clientOf([], []).isLan(request("127.0.0.1", { [header]: "192.168.1.5" }))).toBe(false);
    const client = clientOf(["loopback"], []);
    const via = (from: string) => client.isLan(request("127.0.0.1", { "x-forwarded-for": from }));
    expect([via("192.168.1.5"), via("198.51.100.7"), via("nonsense")]).toEqual([true, false, false]);
  });

  test("is nobody who comes from a trusted proxy that tells no address: a balancer of TCP stands for all", () => {
    const client = clientOf(["10.0.0.9", "fe80::9", "10.1.0.0/16"], []);
    const lan = (peer: string, headers = {}) => client.isLan(request(peer, headers));
    for (const peer of ["10.0.0.9", "::ffff:10.0.0.9", "fe80::9%eth0"]) expect(lan(peer)).toBe(false);
    expect(lan("10.0.0.9", { "x-real-ip": "198.51.100.7" })).toBe(false);
    // One in front of a proxy that tells where it was asked from.
    expect(lan("10.0.0.9", { "x-forwarded-for": "10.1.2.3" })).toBe(false);
    expect(lan("10.0.0.9", { "x-forwarded-for": "10.0.0.8" })).toBe(true);
    expect(lan("10.0.0.8")).toBe(true);
  });
});

describe("T3: an origin", () => {
  const allowed = (origin: string | undefined, host: string | undefined, origins: string[] = []) =>
    clientOf([], origins).originAllowed(request("203.0.113.5", { origin, host }));

  test.each([
    [undefined, "chat.example", true],
    ["https://chat.example", "chat.example", true],
    ["http://chat.example", "chat.example", true],
    ["https://CHAT.example", "chat.EXAMPLE", true],
    ["http://localhost:8080", "localhost:8080", true],
    ["http://[::1]:8080", "[::1]:8080", true],
    ["http://chat.example:8080", "chat.example", false],
    ["https://chat.example", "chat.example:8080", false],
    ["https://evil.example", "chat.example", false],
    ["https://chat.example.evil.example", "chat.example", false],
    ["https://evil.example/chat.example", "chat.example", false],
    ["https://evil.example#chat.example", "chat.example", false],
    ["null", "chat.example", false],
    ["null", "null", false],
    ["", "chat.example", false],
    ["chat.example", "chat.example", false],
    ["https://chat.example", undefined, false],
    ["file://", "", false],
  ])("%s at the host %s: %s", (origin, host, expected) => {
    expect(allowed(origin, host)).toBe(expected);
  });

  test("in http.allowed_origins is allowed, exactly", () => {
    const origins = ["https://friend.example"];
    expect(allowed("https://friend.example", "chat.example", origins)).toBe(true);
    expect(allowed("https://FRIEND.example", "chat.example", origins)).toBe(true);
    expect(allowed("http://friend.example", "chat.example", origins)).toBe(false);
    expect(allowed("https://friend.example:444", "chat.example", origins)).toBe(false);
    expect(allowed("null", "chat.example", origins)).toBe(false);
  });

  test("is held against X-Forwarded-Host only when a trusted proxy says it", () => {
    const headers = {
      origin: "https://chat.example",
      host: "backend:8080",
      "x-forwarded-host": "chat.example",
    };
    expect(clientOf([], []).originAllowed(request("10.0.0.1", headers))).toBe(false);
    expect(clientOf(["10.0.0.0/8"], []).originAllowed(request("10.0.0.1", headers))).toBe(true);
    expect(clientOf(["10.0.0.0/8"], []).originAllowed(request("203.0.113.5", headers))).toBe(false);
  });
});
