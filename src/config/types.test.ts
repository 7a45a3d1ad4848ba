import { describe, expect, test } from "vitest";
import {
  address,
  base64,
  boolean,
  choice,
  decimal,
  domainName,
  duration,
  email,
  host,
  httpsUrl,
  iceUrl,
  list,
  network,
  optional,
  orWord,
  origin,
  size,
  stunUrl,
  text,
  whole,
} from "./types.ts";

describe("durations", () => {
  const type = duration("0s", "30d");
  test.each([
    ["1500ms", 1500],
    ["20s", 20_000],
    ["1.5s", 1500],
    ["0.1s", 100],
    ["5m", 300_000],
    ["24h", 86_400_000],
    ["2D", 172_800_000],
    ["20 s", 20_000],
    ["0", 0],
  ])("%s is %i ms", (text, milliseconds) => expect(type.parse(text)).toBe(milliseconds));

  test.each(["20", "", "s", "-1s", "1s2", "1m30s", "0.5ms", "31d", "1e3s", "١s", "infinity"])(
    "%j is none",
    (text) => expect(type.parse(text)).toBeUndefined(),
  );

  test.each([
    [0, "0s"],
    [1500, "1500ms"],
    [60_000, "1m"],
    [86_400_000, "24h"],
    [2 * 86_400_000, "2d"],
  ])("%i ms is written as %s", (milliseconds, text) => expect(type.format(milliseconds)).toBe(text));

  test("a number without a unit is no duration in the file either, but 0 is", () => {
    expect([type.read(20), type.read("20s"), type.read(0)]).toEqual([undefined, 20_000, 0]);
  });
});

test.each([
  ["64mb", 64 * 1024 ** 2],
  ["1GB", 1024 ** 3],
  ["512", undefined],
  ["1tb", undefined],
  ["1b", undefined],
])("the size %s is %s", (text, bytes) => expect(size("1mb", "2gb").parse(text)).toBe(bytes));

test.each([
  ["1", 1],
  ["100", 100],
  ["0", undefined],
  ["101", undefined],
  ["1.5", undefined],
  ["1e1", undefined],
  ["0x10", undefined],
  [" 1", undefined],
])("the whole number %j is %s", (text, value) => expect(whole(1, 100).parse(text)).toBe(value));

test("numbers of the file are numbers, neither texts nor beyond all bounds", () => {
  const read = [1, "1", Number.NaN, Number.POSITIVE_INFINITY, -1, 1n, true].map((value) =>
    decimal(0.5, 9).read(value),
  );
  expect(read).toEqual([1, undefined, undefined, undefined, undefined, undefined, undefined]);
});

test("true and false are words of a flag and values of the file", () => {
  expect(["true", "false", "yes", "1", ""].map((text) => boolean.parse(text))).toEqual([
    true,
    false,
    undefined,
    undefined,
    undefined,
  ]);
  expect([true, false, "true", 1].map((value) => boolean.read(value))).toEqual([
    true,
    false,
    undefined,
    undefined,
  ]);
});

test.each([
  ["203.0.113.5", "203.0.113.5"],
  ["2001:db8::5", "2001:db8::5"],
  ["fe80::1%eth0", undefined],
  ["chat.example.org", undefined],
  ["203.0.113.5/24", undefined],
])("the address %s is %s", (text, value) => expect(address.parse(text)).toBe(value));

test.each([
  ["https://chat.example.org", "https://chat.example.org"],
  ["https://Chat.Example.org:443/", "https://chat.example.org"],
  ["http://[::1]:8080", "http://[::1]:8080"],
  ["https://chat.example.org/path", undefined],
  ["chat.example.org", undefined],
  ["*", undefined],
  ["null", undefined],
  ["ftp://chat.example.org", undefined],
  ["https://me@chat.example.org", undefined],
])("the origin %s is %s", (text, value) => expect(origin.parse(text)).toBe(value));

test.each(["127.0.0.1", "::1", "10.0.0.0/8", "fd00::/8", "::ffff:10.0.0.0/104", "loopback"])(
  "%s is a network",
  (text) => expect(network.parse(text)).toBe(text),
);
test.each([
  "10.0.0.0/33",
  "::/129",
  "10.0.0",
  "10.0.0.0/255.0.0.0",
  "example.org",
  "",
  "0.0.0.0/",
  "fe80::1%eth0",
])("%j is no network", (text) => expect(network.parse(text)).toBeUndefined());

test.each(["0.0.0.0", "::", "localhost", "chat.example.org", "a_b"])("%s is a host", (text) =>
  expect(host.parse(text)).toBe(text),
);
test.each(["", "1.2.3", "999.1.1.1", "a b", "a..b", "http://x", "[::1]", "x:80", "-a"])(
  "%j is no host",
  (text) => expect(host.parse(text)).toBeUndefined(),
);

test.each([
  ["chat.example.org", "chat.example.org"],
  ["Chat.Example", "chat.example"],
  ["café.example", "xn--caf-dma.example"],
  ["localhost", "localhost"],
  ["", undefined],
  ["127.0.0.1", undefined],
  ["::1", undefined],
  ["*.example.org", undefined],
  ["a..b", undefined],
  ["-a.example", undefined],
  ["a_b.example", undefined],
  ["chat.example.org.", undefined],
  ["chat.example.org/x", undefined],
  ["chat.example.org:443", undefined],
  [`${"a".repeat(64)}.example`, undefined],
])("the name %s is %s", (text, value) => expect(domainName.parse(text)).toBe(value));

test.each(["", "me", "me@", "@example.org", "a b@example.org", "a@b@c", "a@b\n"])(
  "%j is no e-mail address",
  (text) => expect(email.parse(text)).toBeUndefined(),
);

test.each([
  ["zWNDZM6eQG-_", true],
  ["zWNDZM6eQG+/", true],
  ["zWNDZM6eQA==", true],
  ["", false],
  ["zWND ZM6e", false],
  ["zWND=ZM6", false],
  ["a".repeat(1025), false],
])("%j is a key in base64: %s", (text, allowed) =>
  expect(base64.parse(text)).toBe(allowed ? text : undefined),
);

test.each([
  ["https://ca.example.org/directory", "https://ca.example.org/directory"],
  ["https://127.0.0.1:14000/dir", "https://127.0.0.1:14000/dir"],
  ["http://ca.example.org/directory", undefined],
  ["ca.example.org", undefined],
  ["https://", undefined],
])("the address %s is %s", (text, value) => expect(httpsUrl.parse(text)).toBe(value));

test("an optional text may be empty, in the file too", () => {
  const type = optional(domainName);
  expect([type.parse(""), type.read(""), type.parse("a.b"), type.read("a b"), type.read(0)]).toEqual([
    "",
    "",
    "a.b",
    undefined,
    undefined,
  ]);
});

test.each([
  "stun:a.example",
  "stuns:a.example:5349",
  "turn:[2001:db8::1]:3478?transport=tcp",
  "turns:a.example",
])("%s is a STUN or TURN server", (text) => expect(iceUrl.parse(text)).toBe(text));
test.each([
  "a.example",
  "stun:",
  "stun:a.example?transport=udp",
  "turn:a.example?transport=sctp",
  "turn:a:99999",
  "turn://a",
  "turn:u@a",
])("%j is none", (text) => expect(iceUrl.parse(text)).toBeUndefined());
test.each([
  ["stun:a.example", "stun:a.example"],
  ["stun:[2001:db8::1]:3478", "stun:[2001:db8::1]:3478"],
  ["stuns:a.example", undefined],
  ["turn:a.example", undefined],
])("the STUN server without TLS of %s is %s", (text, value) => expect(stunUrl.parse(text)).toBe(value));

test("text stays on one line and within its length", () => {
  expect(["", "ok ü 😀", "a\nb", "\u001b[2J", "x".repeat(11)].map((each) => text(10).parse(each))).toEqual([
    "",
    "ok ü 😀",
    undefined,
    undefined,
    undefined,
  ]);
});

test("a list takes what its element takes, up to its length", () => {
  const type = list(choice("a", "b"), 2);
  expect(["", "a", "a, b", "a,,b", "a,b,a", "c"].map((each) => type.parse(each))).toEqual([
    [],
    ["a"],
    ["a", "b"],
    undefined,
    undefined,
    undefined,
  ]);
  expect([["a"], "a", [1], ["a", "b", "b"]].map((each) => type.read(each))).toEqual([
    ["a"],
    undefined,
    undefined,
    undefined,
  ]);
});

test("a word beside a number is that word, as text and in a file", () => {
  const type = orWord("auto", whole(1, 8));
  expect(["auto", "8", "0", "Auto", ""].map((each) => type.parse(each))).toEqual([
    "auto",
    8,
    undefined,
    undefined,
    undefined,
  ]);
  expect(["auto", 8, 9, "8"].map((each) => type.read(each))).toEqual(["auto", 8, undefined, undefined]);
  expect([type.toml("auto"), type.toml(8)]).toEqual(['"auto"', "8"]);
  expect(type.allowed).toBe('a whole number from 1 to 8, or "auto"');
});
