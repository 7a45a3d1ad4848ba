import { expect, test } from "vitest";
import { Failure } from "../failure.ts";
import { options } from "../config/options.ts";
import { endpointForOthers, fileOf, isEndpoint, listenEndpoint, tcpEndpoint } from "./endpoint.ts";

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

test("only endpoints that a link can have are connected to", () => {
  for (const good of [
    "tcp://10.0.0.2:7400",
    "tcp://[fd00::1]:7400",
    "tcp://n1.example.org:1",
    "ipc:///run/n1",
  ]) {
    expect(isEndpoint(good)).toBe(true);
  }
  for (const bad of [
    "",
    "tcp://",
    "tcp://n1",
    "inproc://zeromq.zap.01",
    "udp://10.0.0.2:1",
    "tcp://a b:1",
    "ipc://",
  ]) {
    expect(isEndpoint(bad)).toBe(false);
  }
});

test("only a socket in the file system leaves a file", () => {
  expect(fileOf("ipc:///run/n1")).toBe("/run/n1");
  expect(fileOf("ipc://@abstract")).toBeUndefined();
  expect(fileOf("tcp://127.0.0.1:1")).toBeUndefined();
});
