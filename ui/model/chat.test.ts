import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { Chat, MAX_LINES, parseChatMessage } from "./chat.ts";
import { FakeChannel } from "./testing/fake-connection.ts";
import { FakeClock } from "./testing/fakes.ts";

let clock: FakeClock;
let chat: Chat;
let channel: FakeChannel;
let camera: boolean;

const attach = (to: FakeChannel) => chat.attach(to as unknown as RTCDataChannel);
const hears = (message: unknown) => channel.onmessage?.({ data: JSON.stringify(message) });
const texts = () => chat.lines.value.map(({ from, text }) => `${from}: ${text}`);

beforeEach(() => {
  clock = new FakeClock();
  camera = true;
  chat = new Chat(clock, () => ({ camera, microphone: true }));
  channel = new FakeChannel();
  chat.begin();
  attach(channel);
  channel.opens();
});

test("lines go both ways and keep their order", () => {
  expect(chat.send("hello")).toBe(true);
  hears({ type: "line", text: "hi" });
  expect(texts()).toEqual(["you: hello", "stranger: hi"]);
  expect(channel.sent.map((text) => JSON.parse(text) as unknown)).toContainEqual({
    type: "line",
    text: "hello",
  });
  expect(new Set(chat.lines.value.map(({ id }) => id)).size).toBe(2);
});

test("there is nobody to send to before the channel opens and after it closed", () => {
  const next = new FakeChannel();
  attach(next);
  expect(chat.open.value).toBe(false);
  expect(chat.send("hello")).toBe(false);
  next.opens();
  expect(chat.send("hello")).toBe(true);
  next.onclose?.();
  expect(chat.open.value).toBe(false);
  expect(chat.send("hello")).toBe(false);
});

test("a channel of a past connection says nothing any more", () => {
  const { onmessage, onclose, onopen } = channel;
  const next = new FakeChannel();
  attach(next);
  next.opens();
  onmessage?.({ data: JSON.stringify({ type: "line", text: "late" }) });
  onclose?.();
  onopen?.();
  expect(chat.lines.value).toEqual([]);
  expect(chat.open.value).toBe(true);
  expect(next.sent).toHaveLength(1);
});

test("lines stay after a call and go with the next stranger", () => {
  hears({ type: "line", text: "bye" });
  chat.detach();
  expect(texts()).toEqual(["stranger: bye"]);
  chat.begin();
  expect(texts()).toEqual([]);
});

test("2,000 characters are a line, 2,001 are not, whatever they are made of", () => {
  expect(chat.send("a".repeat(2_000))).toBe(true);
  expect(chat.send("a".repeat(2_001))).toBe(false);
  expect(chat.send("👋".repeat(2_000))).toBe(true);
  expect(chat.send("👋".repeat(2_001))).toBe(false);
  expect(chat.send("  \n ")).toBe(false);
  hears({ type: "line", text: "a".repeat(2_001) });
  hears({ type: "line", text: "b".repeat(2_000) });
  expect(chat.lines.value).toHaveLength(3);
});

test("a stranger cannot flood: too many lines at once are dropped, and the channel of who goes on is closed", async () => {
  for (let i = 0; i < 100; i++) hears({ type: "line", text: `${i}` });
  expect(chat.lines.value.length).toBe(20);
  await clock.pass(1_000);
  hears({ type: "line", text: "slowly" });
  expect(texts().at(-1)).toBe("stranger: slowly");
  for (let i = 0; i < 2_000; i++) hears({ type: "typing" });
  expect(channel.readyState).toBe("closed");
  expect(chat.open.value).toBe(false);
});

test("own lines are bounded as well, so that the stranger drops none", async () => {
  const sent = Array.from({ length: 30 }, (_, i) => chat.send(`${i}`));
  expect(sent.filter(Boolean)).toHaveLength(10);
  await clock.pass(1_000);
  expect(chat.send("again")).toBe(true);
  channel.bufferedAmount = 1_000_000;
  expect(chat.send("nobody reads")).toBe(false);
});

test("the history is bounded", async () => {
  for (let i = 0; i < MAX_LINES + 50; i++) {
    await clock.pass(1_000);
    hears({ type: "line", text: `${i}` });
  }
  expect(chat.lines.value).toHaveLength(MAX_LINES);
  expect(texts().at(-1)).toBe(`stranger: ${MAX_LINES + 49}`);
});

test("typing is shown for a while and ends with the line", async () => {
  hears({ type: "typing" });
  expect(chat.strangerTyping.value).toBe(true);
  await clock.pass(3_000);
  hears({ type: "typing" });
  await clock.pass(3_000);
  expect(chat.strangerTyping.value).toBe(true);
  await clock.pass(1_000);
  expect(chat.strangerTyping.value).toBe(false);
  hears({ type: "typing" });
  hears({ type: "line", text: "hi" });
  expect(chat.strangerTyping.value).toBe(false);
});

test("own typing is told now and then, not at every key", async () => {
  const notices = () => channel.sent.filter((text) => text.includes("typing")).length;
  for (let i = 0; i < 10; i++) chat.typing();
  expect(notices()).toBe(1);
  await clock.pass(2_000);
  chat.typing();
  expect(notices()).toBe(2);
  chat.send("done");
  chat.typing();
  expect(notices()).toBe(3);
});

test("each side tells what it sends when the channel opens and when it changes", () => {
  expect(JSON.parse(channel.sent[0] ?? "")).toEqual({ type: "media", camera: true, microphone: true });
  camera = false;
  chat.tellSending();
  expect(JSON.parse(channel.sent[1] ?? "")).toEqual({ type: "media", camera: false, microphone: true });
  hears({ type: "media", camera: false, microphone: true });
  expect(chat.stranger.value).toEqual({ camera: false, microphone: true });
  chat.begin();
  expect(chat.stranger.value).toEqual({ camera: true, microphone: true });
});

describe("what a stranger sends is checked", () => {
  test.each([
    ["a number", 1],
    ["a buffer", new ArrayBuffer(8)],
    ["no JSON", "{"],
    ["null", "null"],
    ["a text", '"line"'],
    ["another type", '{"type":"run"}'],
    ["a line without text", '{"type":"line"}'],
    ["a line with a number", '{"type":"line","text":1}'],
    ["an empty line", '{"type":"line","text":" "}'],
    ["half a media notice", '{"type":"media","camera":true}'],
    ["a media notice of texts", '{"type":"media","camera":"yes","microphone":"no"}'],
    ["more than any line needs", `{"type":"typing","x":"${"a".repeat(30_000)}"}`],
  ])("%s is dropped", (_what, data) => {
    expect(parseChatMessage(data)).toBeNull();
  });

  test("control characters and halves of characters are taken out", () => {
    expect(
      parseChatMessage(JSON.stringify({ type: "line", text: "a\u0000b\u001b[31mc\r\nd\ud800" })),
    ).toEqual({
      type: "line",
      text: "a b [31mc \nd\ufffd",
    });
  });

  test("the longest line fits, however JSON writes it", () => {
    const escaped = "\\ud83d\\udc4b".repeat(2_000);
    expect(parseChatMessage(`{"type":"line","text":"${escaped}"}`)).not.toBeNull();
  });

  test("anything at all is survived", () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string(), fc.anything()), (data) => {
        parseChatMessage(data);
      }),
      { seed: 1, numRuns: 2_000 },
    );
  });
});
