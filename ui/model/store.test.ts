/** One page, and a node whose every word is given. */
import { beforeEach, expect, test } from "vitest";
import type { EndReason, Welcome } from "../../src/protocol/messages.ts";
import { OFFER_MS } from "./search.ts";
import type { Store } from "./state.ts";
import { createStore } from "./store.ts";
import { FakeBrowser } from "./testing/fake-browser.ts";
import { FakeClock, FakeSockets, settle } from "./testing/fakes.ts";
import { matched, waiting, welcome } from "./testing/messages.ts";

let clock: FakeClock;
let sockets: FakeSockets;
let browser: FakeBrowser;
let store: Store;

beforeEach(() => {
  clock = new FakeClock();
  sockets = new FakeSockets();
  browser = new FakeBrowser(clock, sockets.open);
  store = createStore(browser);
});

function open(change: Partial<Welcome> = {}): void {
  sockets.last.opens();
  sockets.last.says(welcome(change));
}

async function search(mode: "video" | "text" = "video"): Promise<void> {
  open();
  store.start(mode);
  await settle();
  sockets.last.says(waiting());
}

test("connects at once and shows the place and its numbers", () => {
  expect([store.server.value.state, store.placeName.value]).toEqual(["connecting", "Cellar"]);
  open({ settings: { name: "Attic" } });
  expect([store.server.value.state, store.placeName.value, store.online.value]).toEqual(["open", "Attic", 5]);
  sockets.last.says({ type: "status", online: 7, waiting: 3 });
  expect([store.online.value, store.othersLooking.value]).toEqual([7, null]);
  expect([store.phase.value, browser.devices.asked.length, browser.network.connections.length]).toEqual([
    "home",
    0,
    0,
  ]);
});

test("how many others look is known once the node has said that this visitor does, in each search anew", async () => {
  await search("text");
  sockets.last.says(waiting({ waiting: 3 }));
  expect(store.othersLooking.value).toBe(2);
  sockets.last.says({ type: "status", online: 7, waiting: 2 });
  expect(store.othersLooking.value).toBe(1);
  sockets.last.says(matched("p", { mode: "text" }));
  store.next();
  sockets.last.says({ type: "status", online: 7, waiting: 1 });
  expect(store.othersLooking.value).toBeNull();
  sockets.last.says(waiting({ waiting: 1 }));
  expect(store.othersLooking.value).toBe(0);
});

test("the last partner may be met again, but not after a block or report by either side", async () => {
  await search("text");
  expect(store.mayMeetAgain.value).toBe(false);
  const meet = (pair: string) => sockets.last.says(matched(pair, { mode: "text" }));
  const after = (how: () => void) => {
    how();
    return store.mayMeetAgain.value;
  };
  const endsWith = (reason: EndReason) => sockets.last.says({ type: "ended", pair: "p", reason });
  const ways: [boolean, () => void][] = [
    [true, () => store.next()],
    [false, () => store.block()],
    [true, () => endsWith("left")],
    [false, () => store.report("spam")],
    [true, () => endsWith("lost")],
    [false, () => endsWith("blocked")],
  ];
  for (const [may, how] of ways) {
    meet("p");
    expect(after(how)).toBe(may);
  }
  meet("p");
  store.next();
  expect(after(() => store.report("spam"))).toBe(false);
});

test("hello carries the device token, the same for every page of the browser, and the language", () => {
  open();
  const [first] = sockets.last.all("hello");
  expect(first).toEqual({ type: "hello", device: "0123456789abcdef-0", lang: "en-US" });
  createStore(browser);
  sockets.last.opens();
  expect(sockets.last.all("hello")[0]?.device).toBe(first?.device);
});

test("Start asks for the camera first, then looks, with an offer on board", async () => {
  open();
  browser.devices.hold();
  store.start("video");
  await clock.pass(19_000);
  expect([store.phase.value, store.media.value, sockets.last.all("find").length]).toEqual([
    "starting",
    "asking",
    0,
  ]);
  browser.devices.answer();
  await settle();
  expect([store.phase.value, store.media.value]).toEqual(["waiting", "granted"]);
  const [find] = sockets.last.all("find");
  expect(find).toMatchObject({ type: "find", mode: "video" });
  expect(find?.offer).toMatch(/^v=0/);
  expect(sockets.last.all("find")).toHaveLength(1);
});

test.each(["NotAllowedError", "NotFoundError", "NotReadableError"])(
  "without camera and microphone (%s) nobody is looked for until the visitor tries again or takes text",
  async (name) => {
    open();
    browser.devices.refuse = () => name;
    store.start("video");
    await settle();
    store.retryMedia();
    await settle();
    expect([store.phase.value, sockets.last.all("find").length]).toEqual(["starting", 0]);
    browser.devices.refuse = () => null;
    store.retryMedia();
    await settle();
    expect([store.phase.value, store.media.value]).toEqual(["waiting", "granted"]);
    expect(sockets.last.all("find")).toMatchObject([{ mode: "video" }]);
  },
);

test("text chat is one press away from a camera that does not work", async () => {
  open();
  browser.devices.refuse = () => "NotAllowedError";
  store.start("video");
  await settle();
  store.start("text");
  await settle();
  expect([store.phase.value, store.mode.value, store.media.value]).toEqual(["waiting", "text", "unasked"]);
  const [find] = sockets.last.all("find");
  expect([find?.mode, find?.offer?.includes("m=application"), find?.offer?.includes("m=video")]).toEqual([
    "text",
    true,
    false,
  ]);
  expect(browser.network.open).toHaveLength(1);
});

test("changing from text to video leaves, before the browser asks for the camera", async () => {
  await search("text");
  sockets.last.says(matched("p", { mode: "text" }));
  browser.devices.hold();
  store.start("video");
  expect([store.phase.value, sockets.last.sent.at(-2)]).toEqual(["starting", { type: "leave" }]);
  sockets.last.says(matched("late", { mode: "text" }));
  await settle();
  expect([store.phase.value, store.remoteStream.value]).toEqual(["starting", null]);
});

test("a microphone alone is enough to go on, and so is the wish to be neither seen nor heard", async () => {
  open();
  browser.devices.refuse = (kinds) => (kinds.includes("video") ? "NotFoundError" : null);
  store.start("video");
  await settle();
  expect([store.phase.value, store.media.value]).toEqual(["waiting", "missing"]);
  store.stop();
  store.setCamera(false);
  store.setMicrophone(false);
  store.start("video");
  await settle();
  expect([store.phase.value, store.media.value]).toEqual(["waiting", "unasked"]);
});

test("text asks for no camera and offers no more than the channel", async () => {
  await search("text");
  expect(browser.devices.asked).toEqual([]);
  expect(sockets.last.all("find")[0]?.offer).not.toContain("m=video");
});

test("Start before the node is there looks when it is", async () => {
  store.start("text");
  await settle();
  expect(store.phase.value).toBe("waiting");
  open();
  await settle();
  expect(sockets.last.all("find")).toHaveLength(1);
});

test("an offer that is not ready in time stays behind", async () => {
  open();
  browser.newConnection = (configuration) => {
    const connection = browser.network.newConnection(configuration);
    const createOffer = async () => {
      await new Promise<void>((resolve) => void clock.after(OFFER_MS + 50, resolve));
      return { type: "offer", sdp: "v=0\r\n" };
    };
    Object.assign(connection, { createOffer });
    return connection;
  };
  store.start("text");
  await clock.pass(OFFER_MS - 1);
  expect(sockets.last.all("find")).toEqual([]);
  await clock.pass(1);
  await clock.pass(1_000);
  expect(sockets.last.all("find")).toEqual([{ type: "find", mode: "text" }]);
});

test("a search that is over before its offer is ready finds nobody", async () => {
  open();
  store.start("text");
  store.stop();
  await clock.pass(1_000);
  expect(sockets.last.sent.map(({ type }) => type)).toEqual(["hello", "leave"]);
  store.start("text");
  sockets.last.says(matched("p", { mode: "text", role: "offerer" }));
  await clock.pass(1_000);
  expect([store.phase.value, sockets.last.all("find").length]).toEqual(["connecting", 0]);
});

test("a browser without calls says so and starts nothing", () => {
  browser.newConnection = null;
  store = createStore(browser);
  open();
  store.start("video");
  expect([store.phase.value, store.trouble.value]).toEqual(["home", "unsupported"]);
});

test("Stop leaves, gives the camera back and closes every connection", async () => {
  await search();
  sockets.last.says(matched("p"));
  store.stop();
  expect(sockets.last.sent.slice(-2)).toMatchObject([{ type: "leave" }, { type: "quality" }]);
  expect([store.phase.value, store.media.value, store.localStream.value]).toEqual(["home", "unasked", null]);
  expect(browser.devices.tracks.every(({ stopped }) => stopped)).toBe(true);
  await clock.pass(1_000);
  expect(browser.network.open).toEqual([]);
  sockets.last.says(matched("late"));
  sockets.last.says(waiting());
  expect([store.phase.value, browser.network.open.length]).toEqual(["home", 0]);
});

test("Stop while the browser asks for the camera finds nobody later", async () => {
  open();
  browser.devices.hold();
  store.start("video");
  store.stop();
  browser.devices.answer();
  await settle();
  expect([store.phase.value, sockets.last.all("find").length]).toEqual(["home", 0]);
  expect(browser.devices.tracks.every(({ stopped }) => stopped)).toBe(true);
});

test("changed preferences change the ticket while waiting, with the same offer", async () => {
  await search();
  store.setPreferences({ interests: [" Chess "], languages: ["en"], strict: true, hideAddress: false });
  const [first, second] = sockets.last.all("find");
  // Should a match cross with it, nobody has pressed Next.
  expect(second).toEqual({ ...first, interests: ["Chess"], languages: ["en"], strict: true, again: true });
  store.setPreferences({ interests: [], languages: [], strict: true, hideAddress: false });
  expect(sockets.last.all("find")[2]).toEqual({ ...first, again: true });
  store.setPreferences({ interests: ["go"], languages: [], strict: false, hideAddress: false });
  expect(createStore(browser).preferences.value.interests).toEqual(["go"]);
});

test("preferences that change before the node has answered Next are still part of it", async () => {
  await search();
  sockets.last.says(matched("p"));
  await clock.pass(2_000);
  store.next();
  await settle();
  store.setPreferences({ interests: ["go"], languages: [], strict: false, hideAddress: false });
  await settle();
  const [next, changed] = sockets.last.all("find").slice(1);
  expect([next?.again, changed?.again, changed?.interests]).toEqual([undefined, undefined, ["go"]]);
});

test.each(["rate_limited", "too_many_sessions"] as const)(
  "T7: a find refused with %s is made again after the time given",
  async (code) => {
    open();
    store.start("text");
    await settle();
    sockets.last.says({ type: "error", code, message: "slow down", retryAfter: 2 });
    await clock.pass(1_999);
    expect(sockets.last.all("find")).toHaveLength(1);
    await clock.pass(1_000);
    expect(sockets.last.all("find")).toHaveLength(2);
    sockets.last.says({ type: "error", code: "unavailable", message: "dropped", retryAfter: 1 });
    sockets.last.says(waiting());
    await clock.pass(19_000);
    sockets.last.says({ type: "error", code: "rate_limited", message: "signals", retryAfter: 1 });
    await clock.pass(5_000);
    expect(sockets.last.all("find")).toHaveLength(2);
  },
);

test.each([
  ["too_many_sessions", "tooManyWindows"],
  ["rate_limited", "tooFast"],
  ["unavailable", "storeAway"],
] as const)(
  "T7: whose search is refused for %s is told so, until the node lets it go on",
  async (code, told) => {
    open();
    store.start("text");
    await settle();
    const refusal = { type: "error", code, message: "no", retryAfter: 5 } as const;
    sockets.last.says(refusal);
    expect([store.phase.value, store.trouble.value]).toEqual(["waiting", told]);
    await clock.pass(7_000);
    expect(store.trouble.value).toBe(told);
    sockets.last.says(waiting());
    expect(store.trouble.value).toBeNull();
    // Nothing of the search was refused, but something else.
    sockets.last.says(refusal);
    expect(store.trouble.value).toBeNull();
  },
);

test("a page that another tab takes over from begins anew at home", async () => {
  await search();
  sockets.last.says(matched("p"));
  sockets.last.says({ type: "ended", pair: "p", reason: "left" });
  expect(store.ended.value).toBe("left");
  sockets.last.breaks(4503);
  expect([store.phase.value, store.ended.value]).toEqual(["home", null]);
});

test("a search that was refused and given up leaves no word behind", async () => {
  open();
  store.start("text");
  await settle();
  sockets.last.says({ type: "error", code: "rate_limited", message: "no", retryAfter: 5 });
  store.stop();
  expect(store.trouble.value).toBeNull();
});

test("T7: … or finds somebody for it at once", async () => {
  open();
  store.start("text");
  await settle();
  sockets.last.says({ type: "error", code: "too_many_sessions", message: "no", retryAfter: 5 });
  sockets.last.says(matched("p", { mode: "text" }));
  expect([store.phase.value, store.trouble.value]).toEqual(["connecting", null]);
});

test("a node whose store is away keeps the find; it is repeated only when nothing comes of that", async () => {
  open();
  store.start("text");
  await settle();
  sockets.last.says({ type: "error", code: "unavailable", message: "kept", retryAfter: 1 });
  await clock.pass(9_999);
  expect(sockets.last.all("find")).toHaveLength(1);
  await clock.pass(5_000);
  expect(sockets.last.all("find")).toHaveLength(2);
  sockets.last.says({ type: "error", code: "unavailable", message: "kept", retryAfter: 1 });
  sockets.last.says(waiting());
  await clock.pass(19_000);
  expect(sockets.last.all("find")).toHaveLength(2);
});

test("T5: a find that the node does not understand is made again in its plainest form, once", async () => {
  await search();
  store.setPreferences({ interests: ["chess"], languages: [], strict: false, hideAddress: false });
  const refusal = { type: "error", code: "invalid_message", message: "no", field: "interests" } as const;
  sockets.last.says(refusal);
  sockets.last.says(refusal);
  expect(sockets.last.all("find").slice(2)).toEqual([{ type: "find", mode: "video", again: true }]);
});

test("M2: an undone match is dropped without a word and the search goes on", async () => {
  await search();
  sockets.last.says(matched("p", { offer: "v=0\r\na=ice-ufrag:x\r\n" }));
  expect(store.phase.value).toBe("connecting");
  await settle();
  sockets.last.says(waiting({ relaxed: ["recent"] }));
  expect([store.phase.value, store.ended.value, store.relaxed.value]).toEqual(["waiting", null, ["recent"]]);
  await clock.pass(1_000);
  expect(browser.network.open).toEqual([]);
});

test("a match while another call is up replaces it, and an end of the past pair is ignored", async () => {
  await search();
  sockets.last.says(matched("one", { offer: "v=0\r\na=ice-ufrag:x\r\n" }));
  await settle();
  sockets.last.says(matched("two", { common: { interests: ["go"] } }));
  sockets.last.says({ type: "ended", pair: "one", reason: "left" });
  const description = { type: "offer", sdp: "v=0\r\na=ice-ufrag:y\r\n" };
  sockets.last.says({ type: "signal", pair: "one", data: { description, generation: 1 } });
  await clock.pass(1_000);
  expect([store.phase.value, store.common.value?.interests, browser.network.open.length]).toEqual([
    "connecting",
    ["go"],
    0,
  ]);
});

test("the spare is closed when we answer instead, and there is never more than one", async () => {
  await search();
  expect(browser.network.open).toHaveLength(1);
  sockets.last.says(matched("one", { offer: "v=0\r\na=ice-ufrag:x\r\n" }));
  await clock.pass(1_000);
  expect(browser.network.open).toHaveLength(1);
  expect(browser.network.connections).toHaveLength(2);
});

test("new relay credentials reach the call and the spare, and everything made later", async () => {
  await search();
  const iceServers = [{ urls: "turn:192.0.2.7", username: "u", credential: "new" }];
  sockets.last.says({ type: "ice", iceServers });
  expect(browser.network.open[0]?.configuration).toMatchObject({ iceServers, iceTransportPolicy: "all" });
  sockets.last.says(matched("p", { offer: "v=0\r\na=ice-ufrag:x\r\n" }));
  await clock.pass(1_000);
  expect(browser.network.open[0]?.configuration).toMatchObject({ iceServers, bundlePolicy: "max-bundle" });
  sockets.last.says({ type: "ice", iceServers: [] });
  expect(browser.network.open[0]?.configuration.iceServers).toEqual([]);
});

test("a place that sends visitors away for good stops everything; a superseded page becomes its own session", async () => {
  await search();
  sockets.last.says(matched("p", { offer: "v=0\r\na=ice-ufrag:x\r\n" }));
  await settle();
  sockets.last.breaks(4503);
  expect([store.phase.value, store.server.value]).toEqual(["home", { state: "closed", why: "superseded" }]);
  await clock.pass(1_000);
  expect(browser.network.open).toEqual([]);
  store.reconnect();
  open();
  expect(sockets.last.all("hello")[0]?.resume).toBeUndefined();
  expect(store.server.value.state).toBe("open");
});

test("a report is possible for five minutes after the end, and for nobody after that", async () => {
  await search();
  store.report("spam");
  sockets.last.says(matched("p"));
  sockets.last.says({ type: "ended", pair: "p", reason: "left" });
  await settle();
  expect([store.phase.value, store.ended.value]).toEqual(["waiting", "left"]);
  store.report("nudity");
  expect(sockets.last.all("report")).toMatchObject([{ pair: "p", reason: "nudity" }]);
  sockets.last.says({ type: "reported", pair: "p" });
  expect(store.reported.value).toBe(true);
  sockets.last.says(matched("q"));
  expect([store.reported.value, store.ended.value]).toEqual([false, null]);
  sockets.last.says({ type: "ended", pair: "q", reason: "left" });
  const socket = sockets.last;
  for (let i = 0; i < 20; i++) {
    await clock.pass(19_000);
    socket.says({ type: "status", online: 1, waiting: 1 });
  }
  store.report("nudity");
  expect(sockets.last.all("report")).toHaveLength(1);
});
