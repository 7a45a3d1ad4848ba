import type { IncomingMessage } from "node:http";
import { expect, test } from "vitest";
import { cameBy } from "./came.ts";
import { clientOf } from "./client.ts";

const came = (
  remoteAddress: string,
  headers: IncomingMessage["headers"],
  { encrypted = false, trusted = [] as string[] } = {},
) =>
  cameBy(
    { socket: { remoteAddress, encrypted }, headers } as unknown as IncomingMessage,
    clientOf(trusted, []),
  );

test("a visitor comes by the name that his browser has for us, and by HTTPS at the port that he came to", () => {
  expect(came("203.0.113.5", { host: "Chat.Example:8443" }, { encrypted: true })).toEqual({
    host: "chat.example",
    tlsPort: 8443,
    proxied: false,
    lan: false,
  });
  expect(came("203.0.113.5", { host: "[2001:db8::1]" }, { encrypted: true })).toEqual({
    host: "2001:db8::1",
    tlsPort: 443,
    proxied: false,
    lan: false,
  });
  expect(came("127.0.0.1", { host: "localhost:8080" })).toEqual({
    host: "localhost",
    proxied: false,
    lan: true,
  });
});

test("a proxy on this machine passes a name on, one elsewhere is known by trust; its HTTPS is not ours", () => {
  expect(came("127.0.0.1", { host: "chat.example" }, { encrypted: true })).toEqual({
    host: "chat.example",
    proxied: true,
    // It does not say whose connection it passes on, as a tunnel.
    lan: false,
  });
  const local = { host: "chat.example", "x-forwarded-for": "192.168.1.5" };
  expect(came("127.0.0.1", local, { trusted: ["loopback"] })).toMatchObject({ proxied: true, lan: true });
  const headers = {
    host: "10.0.0.5:8080",
    "x-forwarded-host": "chat.example",
    "x-forwarded-for": "203.0.113.5",
  };
  expect(came("10.0.0.2", headers, { trusted: ["10.0.0.2"] })).toEqual({
    host: "chat.example",
    proxied: true,
    lan: false,
  });
  expect(came("10.0.0.2", headers)).toEqual({ host: "10.0.0.5", proxied: false, lan: false });
});

test("what is no name is none", () => {
  for (const host of [
    undefined,
    "",
    "a b",
    "x:99999999",
    "turn:evil?transport=udp",
    'a"b',
    "a,b@c",
    "x".repeat(300),
  ])
    expect(came("203.0.113.5", { host })).toEqual({ host: "", proxied: false, lan: false });
});

test("visitors who come the same way share what says so, and many ways do not pile up", () => {
  const one = () => came("203.0.113.5", { host: "chat.example" });
  expect(one()).toBe(one());
  for (let n = 0; n < 1_000; n += 1) came("203.0.113.5", { host: `${n}.example` });
  expect(one()).toEqual({ host: "chat.example", proxied: false, lan: false });
});
