import { EventEmitter } from "node:events";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { BEAT_MS } from "./beat.ts";
import type { FromWorker, Metrics, Orders, ToWorker } from "./messages.ts";
import { type Channel, Supervised } from "./worker.ts";
import { until } from "../test-until.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval"] }));
afterEach(() => void vi.useRealTimers());

/** A worker's process, and what its supervisor hears. */
function play() {
  const said: FromWorker[] = [];
  const channel: Channel = Object.assign(new EventEmitter(), {
    send: (message: FromWorker, done: () => void) => {
      said.push(message);
      done();
    },
  });
  const exit = vi.fn();
  const supervised = new Supervised(channel, exit);
  const told: unknown[] = [];
  const listen = () => supervised.signals.on("SIGTERM", (why) => void told.push(why));
  return {
    said,
    channel,
    exit,
    supervised,
    told,
    listen,
    tell: (message: ToWorker) => channel.emit("message", message),
  };
}

test("it runs with what the supervisor says, and says when it is up", async () => {
  const { said, supervised, tell } = play();
  const orders = { kind: "serve" } as Orders;
  tell({ type: "start", orders });
  expect(await supervised.orders).toBe(orders);
  supervised.up({ host: "::" });
  await supervised.refuse({ message: "no", exitCode: 2 });
  expect(said).toEqual([
    { type: "up", host: "::" },
    { type: "refused", message: "no", exitCode: 2 },
  ]);
});

test("it hears where the relay has moved", () => {
  const { supervised, tell } = play();
  expect(supervised.relay).toBeUndefined();
  const relay = { hosts: ["192.0.2.7"], port: 1, proxyPort: 2, secret: "s", reach: "private" } as const;
  tell({ type: "relay", relay });
  expect(supervised.relay).toBe(relay);
});

test("it ends at once when the supervisor is gone", () => {
  const { channel, exit, listen } = play();
  listen();
  channel.emit("disconnect");
  expect(exit).toHaveBeenCalledExactlyOnceWith(1);
});

test("it says at every beat that it is alive", () => {
  const { said } = play();
  vi.advanceTimersByTime(3 * BEAT_MS);
  expect(said).toEqual([{ type: "alive" }, { type: "alive" }, { type: "alive" }]);
});

test("it is told to stop once, whoever says so and however often", () => {
  const { channel, exit, tell, told, listen } = play();
  listen();
  channel.emit("SIGTERM");
  tell({ type: "stop" });
  channel.emit("SIGINT");
  expect(told).toEqual(["SIGTERM"]);
  channel.emit("SIGHUP");
  expect(exit).not.toHaveBeenCalled();
});

test("told to stop before there is anything to stop, it ends", () => {
  const { exit, tell } = play();
  tell({ type: "stop" });
  expect(exit).toHaveBeenCalledExactlyOnceWith(0);
});

test("it tells its own numbers when they are collected", async () => {
  const { said, supervised, tell } = play();
  const metrics = [] as Metrics;
  supervised.metrics = async () => metrics;
  tell({ type: "collect" });
  await until(() => said.length > 0);
  expect(said).toEqual([{ type: "metrics", metrics }]);
});

test("a scrape is answered by the supervisor, each with its own", async () => {
  const { said, supervised, tell } = play();
  const [first, second] = [supervised.scrape(), supervised.scrape()];
  expect(said).toEqual([
    { type: "scrape", scrape: 1 },
    { type: "scrape", scrape: 2 },
  ]);
  tell({ type: "scraped", scrape: 2, contentType: "t", text: "two" });
  tell({ type: "scraped", scrape: 1, contentType: "t", text: "one" });
  expect([(await first).text, (await second).text]).toEqual(["one", "two"]);
});

test("a scrape that the supervisor does not answer fails", async () => {
  const { supervised } = play();
  const scraped = supervised.scrape();
  vi.advanceTimersByTime(3_000);
  await expect(scraped).rejects.toThrow("does not answer");
});
