import { expect, test } from "vitest";
import type { ClientMessage } from "../protocol/messages.ts";
import { StillClock } from "../still-clock.ts";
import { Connection } from "./connection.ts";
import type { ConnectionOwner } from "./connection.ts";
import { FakeSocket } from "./fake-socket.ts";

const RATES: ConnectionOwner["rates"] = {
  find: { burst: 10, perSecond: 1 },
  signal: { burst: 100, perSecond: 50 },
  other: { burst: 20, perSecond: 5 },
};

function connect() {
  const clock = new StillClock();
  const socket = new FakeSocket();
  const heard: ClientMessage["type"][] = [];
  const refused: string[] = [];
  let over = 0;
  const connection = new Connection(socket, undefined, {
    clock,
    rates: RATES,
    onHello: () => heard.push("hello"),
    onMessage: (_connection, message) => heard.push(message.type),
    onClosed: () => (over += 1),
    onRefused: (what) => refused.push(what),
  });
  const frame = (content: unknown) =>
    connection.onFrame(Buffer.from(typeof content === "string" ? content : JSON.stringify(content)), false);
  return { clock, socket, connection, heard, refused, frame, over: () => over };
}

/** A connection that has said hello. */
function greeted() {
  const party = connect();
  party.frame({ type: "hello" });
  party.heard.length = 0;
  return party;
}

const SIGNAL = { type: "signal", pair: "p", data: {} };
const FIND = { type: "find", mode: "text" };
const times = (count: number, what: () => void): void => {
  for (let n = 0; n < count; n += 1) what();
};

test("T2: a binary frame closes with 4501", () => {
  const { connection, socket, heard } = greeted();
  connection.onFrame(Buffer.from(JSON.stringify({ type: "ping" })), true);
  expect(socket.closed?.code).toBe(4501);
  expect(heard).toEqual([]);
});

test.each([
  ["no JSON", "{", undefined],
  ["an array", "[]", undefined],
  ["null", "null", undefined],
  ["a string", '"ping"', undefined],
  ["an object without a type", "{}", "type"],
  ["a type that is no string", '{"type":1}', "type"],
  ["a wrong field", '{"type":"find","mode":"audio"}', "mode"],
])("T5: %s is an invalid_message, and the connection stays", (_what, text, field) => {
  const { frame, socket, heard, refused } = greeted();
  frame(text);
  expect(socket.sent).toEqual([
    { type: "error", code: "invalid_message", message: expect.any(String), ...(field && { field }) },
  ]);
  frame({ type: "ping" });
  expect(heard).toEqual(["ping"]);
  expect(refused).toEqual(["invalid_message"]);
});

test("T5: an unknown type is an unknown_type, and the connection stays", () => {
  const { frame, socket } = greeted();
  frame({ type: "dance" });
  expect(socket.sent).toMatchObject([{ type: "error", code: "unknown_type" }]);
  expect(socket.closed).toBeUndefined();
});

test("T5: unknown fields are ignored", () => {
  const { frame, heard, socket } = greeted();
  frame('{"type":"ping","colour":"red","__proto__":{"t":"x"},"constructor":1}');
  expect(heard).toEqual(["ping"]);
  expect(socket.sent).toEqual([]);
});

test("T5: the tenth bad message within a minute closes with 4501, whatever comes between", () => {
  const { frame, socket, clock } = greeted();
  times(9, () => {
    frame("nonsense");
    frame({ type: "ping" });
    clock.move(6_000);
  });
  expect(socket.closed).toBeUndefined();
  frame({ type: "dance" });
  expect(socket.closed?.code).toBe(4501);
});

test("T5: bad messages that are further apart do not close", () => {
  const { frame, socket, clock } = greeted();
  times(40, () => {
    frame("nonsense");
    clock.move(7_000);
  });
  expect(socket.closed).toBeUndefined();
});

test("T5: a second hello is an invalid_message, and counts as one", () => {
  const { frame, socket, heard } = greeted();
  frame({ type: "hello" });
  expect(socket.sent).toMatchObject([{ type: "error", code: "invalid_message", field: "type" }]);
  expect(heard).toEqual([]);
  times(9, () => frame({ type: "hello" }));
  expect(socket.closed?.code).toBe(4501);
});

test("T4: nothing for 10 s closes with 4501", () => {
  const { clock, socket, over } = connect();
  clock.move(9_999);
  expect(socket.closed).toBeUndefined();
  clock.move(1);
  expect(socket.closed?.code).toBe(4501);
  expect(over()).toBe(1);
});

test("T4: hello in time, and the connection stays", () => {
  const { clock, socket, frame, heard } = connect();
  clock.move(9_999);
  frame({ type: "hello" });
  clock.move(60_000);
  expect(socket.closed).toBeUndefined();
  expect(heard).toEqual(["hello"]);
  expect(clock.pending).toBe(0);
});

test.each([
  ["ping", { type: "ping" }],
  ["find", FIND],
  ["no message", "nonsense"],
  ["a wrong hello", { type: "hello", lang: 7 }],
])("T4: %s first closes with 4501", (_what, first) => {
  const { frame, socket, heard, clock } = connect();
  frame(first);
  expect(socket.closed?.code).toBe(4501);
  expect(heard).toEqual([]);
  expect(clock.pending).toBe(0);
});

test.each([
  ["find", FIND, 10, 1],
  ["signal", SIGNAL, 100, 50],
  ["other", { type: "ping" }, 20, 5],
] as const)("T7: %s has its own bucket", (_name, message, burst, perSecond) => {
  const { frame, socket, heard, refused, clock } = greeted();
  times(burst, () => frame(message));
  expect(socket.sent).toEqual([]);
  expect(heard).toHaveLength(burst);

  frame(message);
  const retryAfter = Math.max(0.1, 1 / perSecond);
  expect(socket.take()).toEqual([
    { type: "error", code: "rate_limited", message: expect.any(String), retryAfter },
  ]);
  expect(refused).toEqual(["rate_limited"]);
  expect(heard).toHaveLength(burst);

  for (const other of [FIND, SIGNAL, { type: "ping" }]) if (other.type !== message.type) frame(other);
  expect(heard).toHaveLength(burst + 2);

  clock.move(retryAfter * 1_000);
  frame(message);
  expect(heard).toHaveLength(burst + 3);
  expect(socket.sent).toEqual([]);
});

test("T7: a bucket fills no further than its burst", () => {
  const { frame, socket, heard, clock } = greeted();
  clock.move(3_600_000);
  times(11, () => frame(FIND));
  expect(heard).toHaveLength(10);
  expect(socket.sent).toHaveLength(1);
});

test("T7: the 200th refused message within 10 s closes with 4502", () => {
  const { frame, socket, heard, refused } = greeted();
  times(10 + 199, () => frame(FIND));
  expect(socket.closed).toBeUndefined();
  frame(FIND);
  expect(socket.closed?.code).toBe(4502);
  expect(refused.at(-1)).toBe("flooding");
  frame(FIND);
  expect(heard).toHaveLength(10);
});

test("T7: refused messages that are further apart do not close", () => {
  const { frame, socket, clock } = greeted();
  times(40, () => {
    times(19, () => frame(FIND));
    clock.move(1_000);
  });
  expect(socket.closed).toBeUndefined();
});

test("T8: more than 1 MiB of unsent bytes closes with 4401, and nothing is sent after", () => {
  const { connection, socket, refused, over } = greeted();
  socket.backlog = 1024 * 1024;
  connection.send({ type: "pong" });
  expect(socket.closed).toBeUndefined();
  socket.backlog += 1;
  connection.send({ type: "pong" });
  expect(socket.closed?.code).toBe(4401);
  expect(refused).toEqual(["too_slow"]);
  connection.send({ type: "pong" });
  connection.sendRaw(Buffer.from("{}"));
  expect(socket.sent).toHaveLength(2);
  expect(over()).toBe(1);
});

test("T6: a ping that nothing answered closes with 4408, one that was answered does not", () => {
  const { connection, socket } = greeted();
  connection.checkHeartbeat();
  connection.onPong();
  connection.checkHeartbeat();
  expect(socket.pings).toBe(2);
  expect(socket.closed).toBeUndefined();
  connection.checkHeartbeat();
  expect(socket.pings).toBe(2);
  expect(socket.closed?.code).toBe(4408);
});

test("what comes after the end is not heard, and the end is told once", () => {
  const { connection, socket, frame, heard, over } = greeted();
  connection.close(4400, "over");
  connection.close(4501, "again");
  connection.onSocketClosed();
  frame({ type: "ping" });
  expect(heard).toEqual([]);
  expect(socket.closed?.code).toBe(4400);
  expect(over()).toBe(1);
});
