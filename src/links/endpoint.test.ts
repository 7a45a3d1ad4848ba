import { describe, expect, test } from "vitest";
import { Failure } from "../failure.ts";
import { options } from "../config/options.ts";
import { endpointForOthers, fileOf, listenEndpoint, placesOf, tcpEndpoint } from "./endpoint.ts";

test("an IPv6 address gets its brackets", () => {
  expect(tcpEndpoint("fd00::1", 7400)).toBe("tcp://[fd00::1]:7400");
  expect(tcpEndpoint("[fd00::1]", 7400)).toBe("tcp://[fd00::1]:7400");
  expect(tcpEndpoint("10.0.0.2", 7400)).toBe("tcp://10.0.0.2:7400");
  expect(tcpEndpoint("*", 0)).toBe("tcp://*:0");
});

test("a node listens on IPv6 too unless told otherwise, for it may be known to others by such an address", () => {
  expect(listenEndpoint(options["link.bind"].default as string, 7400)).toBe("tcp://*:7400");
  expect(listenEndpoint("fd00::1", 7400)).toBe("tcp://[fd00::1]:7400");
  expect(listenEndpoint("0.0.0.0", 7400)).toBe("tcp://0.0.0.0:7400");
});

test.each([
  ["tcp://127.0.0.1:0", "tcp://[::ffff:127.0.0.1]:4711", undefined, "tcp://127.0.0.1:4711"],
  ["tcp://[::1]:0", "tcp://[::1]:4711", undefined, "tcp://[::1]:4711"],
  ["tcp://*:0", "tcp://[::]:4711", "n1.example.org", "tcp://n1.example.org:4711"],
  ["tcp://0.0.0.0:7400", "tcp://0.0.0.0:7400", "fd00::1", "tcp://[fd00::1]:7400"],
  ["tcp://10.0.0.2:7400", "tcp://10.0.0.2:7400", "192.0.2.1", "tcp://192.0.2.1:7400"],
  ["ipc:///run/n1", "ipc:///run/n1", undefined, "ipc:///run/n1"],
  ["ipc:///run/n1", "ipc:///run/n1", "n1.example.org", "ipc:///run/n1"],
])("who is told to listen on %s and bound %s, known as %s, is at %s", (asked, bound, host, endpoint) => {
  expect(endpointForOthers(asked, bound, host)).toBe(endpoint);
});

test.each(["tcp://*:7400", "tcp://0.0.0.0:0", "tcp://[::]:0"])("others cannot guess where %s is", (asked) => {
  expect(() => endpointForOthers(asked, "tcp://[::]:7400")).toThrow(Failure);
  expect(() => endpointForOthers(asked, "tcp://[::]:7400")).toThrow(/link\.host/);
});

test("a peer is connected to over TCP, wherever it is", () => {
  for (const endpoint of ["tcp://10.0.0.2:7400", "tcp://[fd00::1]:7400", "tcp://n1.example.org:1"]) {
    for (const own of [{ endpoint: "tcp://10.0.0.1:7400" }, { endpoint: "ipc:///run/n1" }])
      expect(placesOf({ endpoint }, own)).toEqual([endpoint]);
  }
});

test.each(["", "tcp://", "tcp://n1", "inproc://zeromq.zap.01", "udp://10.0.0.2:1", "tcp://a b:1", "ipc://"])(
  "%j is nowhere",
  (endpoint) => expect(placesOf({ endpoint, local: endpoint }, { endpoint: "ipc:///run/n1" })).toEqual([]),
);

describe("an ipc endpoint", () => {
  const everybody = "tcp://10.0.0.1:7400";

  test("is for those of the same directory, and comes first", () => {
    expect(placesOf({ endpoint: "ipc:///run/w1/b" }, { endpoint: "ipc:///run/w1/a" })).toEqual([
      "ipc:///run/w1/b",
    ]);
    const [own, peer] = ["a", "b"].map((name) => ({ endpoint: everybody, local: `ipc://@w1/${name}` }));
    expect(placesOf(peer!, own!)).toEqual(["ipc://@w1/b", everybody]);
  });

  test.each([
    ["that has none", { endpoint: everybody }],
    ["of another directory", { endpoint: everybody, local: "ipc://@w2/a" }],
    ["of one above", { endpoint: everybody, local: "ipc://@w/a" }],
    ["of a directory, where the peer names a socket without a file", { endpoint: "ipc:///w1/a" }],
  ])("is not for a node %s", (_which, own) => {
    expect(placesOf({ endpoint: everybody, local: "ipc://@w1/b" }, own)).toEqual([everybody]);
    expect(placesOf({ endpoint: "ipc://@w1/b" }, own)).toEqual([]);
  });

  test.each([
    "/run/w1/../redis.sock",
    "/run/w1/x/../../redis.sock",
    "/run/w1/..",
    "/run/w1/",
    "/run/w1",
    "/etc/x",
  ])("does not lead out of the directory: %s", (path) => {
    const own = { endpoint: everybody, local: "ipc:///run/w1/a" };
    expect(placesOf({ endpoint: `ipc://${path}`, local: `ipc://${path}` }, own)).toEqual([]);
  });
});

test("only a socket in the file system leaves a file", () => {
  expect(fileOf("ipc:///run/n1")).toBe("/run/n1");
  expect(fileOf("ipc://@abstract")).toBeUndefined();
  expect(fileOf("tcp://127.0.0.1:1")).toBeUndefined();
});
