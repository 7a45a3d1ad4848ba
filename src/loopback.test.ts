import { expect, test } from "vitest";
import { isLoopback, isLoopbackHost } from "./loopback.ts";

test.each(["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1"])(
  "%s is of this machine",
  (address) => expect(isLoopback(address)).toBe(true),
);
test.each([
  "128.0.0.1",
  "0.0.0.0",
  "::",
  "::2",
  "::ffff:10.0.0.1",
  "fe80::1",
  "fe80::1%eth0",
  "",
  "localhost",
])("%s is not", (address) => expect(isLoopback(address)).toBe(false));

test("a server is of this machine only when it listens on localhost or on such an address", () => {
  expect(["localhost", "::1", "127.0.0.1", "::", "0.0.0.0", "chat.example"].map(isLoopbackHost)).toEqual([
    true,
    true,
    true,
    false,
    false,
    false,
  ]);
});
