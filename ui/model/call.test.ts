import { beforeEach, describe, expect, test } from "vitest";
import { ATTEMPT_MS, DISCONNECTED_MS, FAILED_AFTER_MS, OVERDUE_MS } from "./patience.ts";
import { TwoPages } from "./testing/two-pages.ts";

let pages: TwoPages;

beforeEach(() => {
  pages = new TwoPages();
});

const offers = () => pages.offerer.sent.filter((signal) => "description" in signal);
const answers = () => pages.answerer.sent.filter((signal) => "description" in signal);

describe("a match", () => {
  test("connects: the offerer offers, the answerer answers, nobody else offers", async () => {
    pages.match();
    await pages.clock.pass(100);
    expect(pages.connected).toBe(true);
    for (const { states } of [pages.offerer, pages.answerer])
      expect(states).toEqual(["connecting", "connected"]);
    expect(offers()).toMatchObject([{ description: { type: "offer" }, generation: 1 }]);
    expect(answers()).toMatchObject([{ description: { type: "answer" }, generation: 1 }]);
    expect(await pages.openConnections()).toBe(2);
    expect(pages.clock.pending).toBe(2); // their beats
  });

  test("with the offer on board needs no offer more", async () => {
    const spare = pages.offerer.newPeer();
    const offer = await spare.offer();
    await spare.gather();
    pages.offerer.begin({ kind: "matched", spare, offerUsed: true });
    pages.answerer.begin({ kind: "matched", spare: null, offerUsed: false, offer });
    await pages.clock.pass(25);
    expect(pages.connected).toBe(true);
    expect(offers()).toEqual([]);
    expect(pages.network.connections).toHaveLength(2);
  });

  test("uses the offer made ahead also when it did not travel with find", async () => {
    const spare = pages.offerer.newPeer();
    const offer = await spare.offer();
    pages.offerer.begin({ kind: "matched", spare, offerUsed: false });
    pages.answerer.begin({ kind: "matched", spare: null, offerUsed: false });
    await pages.clock.pass(100);
    expect(pages.connected).toBe(true);
    expect(offers()).toMatchObject([{ description: { sdp: offer } }]);
    expect(pages.network.connections).toHaveLength(2);
  });

  test("whose offer is nobody's any more is offered again, and the answer to the lost one is dropped", async () => {
    const gone = pages.offerer.newPeer();
    const offer = await gone.offer();
    gone.close();
    pages.offerer.begin({ kind: "matched", spare: null, offerUsed: true });
    pages.answerer.begin({ kind: "matched", spare: null, offerUsed: false, offer });
    await pages.clock.pass(100);
    expect(pages.connected).toBe(true);
    expect(offers()).toMatchObject([{ generation: 2 }]);
    expect(await pages.openConnections()).toBe(2);
  });

  test("waits for an answerer who is told later", async () => {
    pages.offerer.begin({ kind: "matched", spare: null, offerUsed: false });
    await pages.clock.pass(5);
    pages.answerer.begin({ kind: "matched", spare: null, offerUsed: false });
    await pages.clock.pass(100);
    expect(pages.connected).toBe(true);
  });
});

test("candidates that come together travel together, and those of TCP stay at home", async () => {
  pages.match();
  await pages.clock.pass(100);
  const signals = pages.offerer.sent.filter((signal) => "candidates" in signal);
  expect(signals.map(({ candidates }) => candidates.length)).toEqual([1, 1]);
  const { connection } = pages.offerer;
  for (let port = 1; port <= 40; port++) {
    const candidate = `candidate:1 1 udp 1 192.0.2.1 ${port} typ host`;
    connection?.onicecandidate?.({ candidate: { candidate, sdpMid: "0" } });
    const caller = `candidate:1 1 tcp 1 192.0.2.1 9 typ host tcptype active`;
    connection?.onicecandidate?.({ candidate: { candidate: caller, sdpMid: "0" } });
  }
  await pages.clock.pass(100);
  const later = pages.offerer.sent.filter((signal) => "candidates" in signal).slice(2);
  expect(later.map(({ candidates }) => candidates.length)).toEqual([1, 16, 16, 7]);
});

describe("the watchdog", () => {
  test("builds a connection that hangs anew, of a higher generation", async () => {
    pages.network.hangs = true;
    pages.match();
    await pages.clock.pass(100);
    pages.network.hangs = false;
    await pages.clock.pass(ATTEMPT_MS + 100);
    expect(pages.connected).toBe(true);
    expect(offers()).toMatchObject([{ generation: 1 }, { generation: 2 }]);
    expect(await pages.openConnections()).toBe(2);
  });

  test.each(["offer", "answer"])("makes up for a lost %s", async (type) => {
    let lost = 0;
    pages.loses = (signal) => "description" in signal && signal.description.type === type && lost++ === 0;
    pages.match();
    await pages.clock.pass(ATTEMPT_MS + 100);
    expect(pages.connected).toBe(true);
    expect(await pages.openConnections()).toBe(2);
  });

  test("says failed when nothing helps, goes on trying for a while, and stops then", async () => {
    pages.network.works = false;
    pages.match();
    await pages.clock.pass(FAILED_AFTER_MS);
    expect([pages.offerer.call.state, pages.answerer.call.state]).toEqual(["failed", "failed"]);
    await pages.clock.pass(3_600_000);
    expect(pages.clock.pending).toBe(0);
    expect(pages.network.connections.length).toBeLessThan(40);
    expect(await pages.openConnections()).toBe(2);
  });

  test("a call that failed may yet come about", async () => {
    pages.network.works = false;
    pages.match();
    await pages.clock.pass(FAILED_AFTER_MS);
    pages.network.works = true;
    await pages.clock.pass(2 * ATTEMPT_MS);
    expect(pages.connected).toBe(true);
    expect(pages.offerer.states).toEqual(["connecting", "failed", "connected"]);
  });

  test("tries again when the browser refuses a connection", async () => {
    const { newConnection } = pages.network;
    Object.assign(pages.network, {
      newConnection: () => {
        throw new Error("too many");
      },
    });
    const refused = new TwoPages();
    Object.assign(refused.network, { newConnection: pages.network.newConnection });
    refused.match();
    await refused.clock.pass(100);
    Object.assign(refused.network, { newConnection: newConnection.bind(refused.network) });
    await refused.clock.pass(2 * ATTEMPT_MS);
    expect(refused.offerer.call.state).toBe("connected");
  });
});

describe("an interruption", () => {
  beforeEach(async () => {
    pages.match();
    await pages.clock.pass(100);
  });

  test("that heals by itself is not even shown", async () => {
    pages.network.cut("disconnected");
    await pages.clock.pass(DISCONNECTED_MS - 1);
    for (const connection of pages.network.open) connection.move("connected");
    await pages.clock.pass(60_000);
    expect(pages.offerer.states).toEqual(["connecting", "connected"]);
    expect(offers()).toHaveLength(1);
  });

  test.each(["disconnected", "failed"] as const)("(%s) is healed by an ICE restart", async (state) => {
    const before = [...pages.network.open];
    pages.network.cut(state);
    await pages.clock.pass(DISCONNECTED_MS + 100);
    expect(pages.connected).toBe(true);
    expect(pages.offerer.states).toEqual(["connecting", "connected", "interrupted", "connected"]);
    expect(pages.network.open).toEqual(before);
    expect(offers()).toMatchObject([{ generation: 1 }, { generation: 1 }]);
    await pages.clock.pass(60_000);
    expect(offers()).toHaveLength(2);
  });

  test("that only the answerer notices is healed as well: it asks", async () => {
    await pages.clock.pass(10_000);
    pages.answerer.connection?.move("failed");
    await pages.clock.pass(500);
    expect(pages.answerer.sent).toContainEqual({ restart: "ice", generation: 1 });
    expect(pages.connected).toBe(true);
    await pages.clock.pass(60_000);
    expect(pages.connected).toBe(true);
    expect(offers()).toHaveLength(2);
  });

  test("that the answerer notices right after the match is healed all the same", async () => {
    pages.answerer.connection?.move("failed");
    await pages.clock.pass(3_000);
    expect(pages.connected).toBe(true);
    expect(offers()).toMatchObject([{ generation: 1 }, { generation: 1 }]);
  });

  test.each(["offerer", "answerer"] as const)(
    "gets a new connection at once where the %s is Firefox",
    async (role) => {
      const mixed = new TwoPages();
      const other = role === "offerer" ? "answerer" : "offerer";
      // The one whose connection is made first is the offerer's.
      mixed.network.mozilla = role === "offerer";
      mixed.match();
      mixed.network.mozilla = role === "answerer";
      await mixed.clock.pass(10_000);
      expect([mixed[role].connection?.mozilla, mixed[other].connection?.mozilla]).toEqual([true, false]);
      mixed.network.mozilla = true;
      mixed.network.cut("failed");
      await mixed.clock.pass(1_000);
      expect(mixed.connected).toBe(true);
      expect(mixed.offerer.call.remembered.generation).toBe(2);
      mixed.answerer.connection?.move("failed");
      await mixed.clock.pass(3_000);
      expect(mixed.connected).toBe(true);
      expect(mixed.offerer.call.remembered.generation).toBe(3);
    },
  );

  test("that an ICE restart does not heal gets a new connection", async () => {
    pages.network.works = false;
    pages.network.cut("failed");
    await pages.clock.pass(5_000);
    pages.network.works = true;
    await pages.clock.pass(2 * ATTEMPT_MS);
    expect(pages.connected).toBe(true);
    expect(pages.offerer.call.remembered.generation).toBe(2);
    expect(await pages.openConnections()).toBe(2);
    // The stream of the connection that is gone is taken off, then the next one comes.
    expect(pages.offerer.streams.map((stream) => stream !== null)).toEqual([true, false, true]);
  });

  test("while the node is away waits for it", async () => {
    pages.offerer.setReachable(false);
    pages.network.cut("failed");
    await pages.clock.pass(60_000);
    expect(pages.offerer.call.state).toBe("interrupted");
    expect(pages.network.connections).toHaveLength(2);
    pages.offerer.setReachable(true);
    await pages.clock.pass(100);
    expect(pages.connected).toBe(true);
  });
});

test("says what stands in the way", async () => {
  const alone = new TwoPages();
  alone.offerer.begin({ kind: "matched", spare: null, offerUsed: false });
  await alone.clock.pass(FAILED_AFTER_MS);
  expect([alone.offerer.call.state, alone.offerer.call.obstacle]).toEqual(["failed", "stranger"]);

  pages.network.works = false;
  pages.match();
  await pages.clock.pass(FAILED_AFTER_MS);
  for (const { call } of [pages.offerer, pages.answerer])
    expect([call.state, call.obstacle]).toEqual(["failed", "network"]);

  const unheard = new TwoPages();
  unheard.loses = (signal) => "description" in signal;
  unheard.match();
  unheard.answerer.call.receive({ restart: "ice", generation: 1 });
  await unheard.clock.pass(FAILED_AFTER_MS);
  expect([unheard.answerer.call.state, unheard.answerer.call.obstacle]).toEqual(["failed", "network"]);

  for (const role of ["offerer", "answerer"] as const) {
    const poor = new TwoPages();
    poor[role].newPeer = () => {
      throw new Error("too many");
    };
    poor.match();
    await poor.clock.pass(FAILED_AFTER_MS);
    expect([poor[role].call.state, poor[role].call.obstacle]).toEqual(["failed", "browser"]);
    expect(poor.other(poor[role]).call.obstacle).toBe(role === "offerer" ? "stranger" : "network");
  }
});

test("is overdue once its first connection was tried for long, since the node is there", async () => {
  const { offerer, answerer, clock, network } = pages;
  const overdue = async (ms: number): Promise<boolean[]> => {
    await clock.pass(ms);
    return [offerer.call.overdue, answerer.call.overdue];
  };
  network.works = false;
  pages.match();
  expect(await overdue(OVERDUE_MS - 1)).toEqual([false, false]);
  expect(await overdue(1)).toEqual([true, true]);
  offerer.setReachable(false);
  offerer.setReachable(true);
  expect(await overdue(OVERDUE_MS - 1)).toEqual([false, true]);
  expect(await overdue(1)).toEqual([true, true]);

  network.works = true;
  expect(await overdue(2 * ATTEMPT_MS)).toEqual([false, false]);
  expect(pages.connected).toBe(true);
  network.works = false;
  network.cut("failed");
  // Mostly the stranger has closed the page then, which the node tells after a while.
  expect(await overdue(2 * OVERDUE_MS)).toEqual([false, false]);
});

describe("a broken socket", () => {
  test("does not touch a call that runs", async () => {
    pages.match();
    await pages.clock.pass(100);
    pages.offerer.setReachable(false);
    pages.answerer.setReachable(false);
    await pages.clock.pass(60_000);
    pages.offerer.setReachable(true);
    pages.answerer.setReachable(true);
    await pages.clock.pass(60_000);
    expect(pages.connected).toBe(true);
    expect(pages.network.connections).toHaveLength(2);
  });

  test.each(["offerer", "answerer"] as const)(
    "of the %s while connecting begins the step again",
    async (role) => {
      pages.match();
      pages[role].setReachable(false);
      await pages.clock.pass(3_000);
      pages[role].setReachable(true);
      await pages.clock.pass(100);
      expect(pages.connected).toBe(true);
      expect(await pages.openConnections()).toBe(2);
    },
  );
});

describe("a reload", () => {
  test.each(["offerer", "answerer"] as const)(
    "of the %s builds the call anew, of a higher generation",
    async (role) => {
      pages.match();
      await pages.clock.pass(10_000);
      pages[role].reload();
      await pages.clock.pass(100);
      expect(pages.connected).toBe(true);
      expect([pages.offerer.call.remembered.generation, pages.answerer.call.remembered.generation]).toEqual([
        2, 2,
      ]);
      expect(await pages.openConnections()).toBe(2);
    },
  );

  test("takes up no ICE restart that was meant for the connection before it", async () => {
    pages.match();
    await pages.clock.pass(10_000);
    pages.answerer.reload();
    pages.answerer.call.receive({
      description: { type: "offer", sdp: "v=0\r\na=ice-ufrag:1.2\r\n" },
      generation: 1,
    });
    await pages.clock.pass(100);
    expect(answers().map(({ generation }) => generation)).toEqual([1, 2]);
    expect(pages.connected).toBe(true);
  });

  test("right after the match does so too", async () => {
    pages.match();
    await pages.clock.pass(15);
    pages.answerer.reload();
    await pages.clock.pass(ATTEMPT_MS + 100);
    expect(pages.connected).toBe(true);
  });
});

test("a closed call says nothing more and leaves nothing behind", async () => {
  pages.match();
  await pages.clock.pass(15);
  const { connection } = pages.offerer;
  const { states, sent } = pages.offerer;
  const late = { onconnectionstatechange: connection?.onconnectionstatechange, ontrack: connection?.ontrack };
  pages.offerer.call.close();
  pages.answerer.call.close();
  const before = [states.length, sent.length];
  late.onconnectionstatechange?.();
  pages.offerer.call.receive({ restart: "connection", generation: 1 });
  pages.offerer.call.setReachable(false);
  pages.offerer.call.setReachable(true);
  await pages.clock.pass(3_600_000);
  expect([states.length, sent.length]).toEqual(before);
  expect(pages.network.open).toEqual([]);
  expect(pages.clock.pending).toBe(0);
});
