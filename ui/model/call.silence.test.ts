/** Connections that carry nothing, whatever the browser says of them. */
import { beforeEach, describe, expect, test } from "vitest";
import { ATTEMPT_MS } from "./patience.ts";
import { BEAT_MS, SILENT_MS, STILL_MS } from "./pulse.ts";
import { TwoPages } from "./testing/two-pages.ts";

let pages: TwoPages;

beforeEach(() => {
  pages = new TwoPages();
});

const offers = () => pages.offerer.sent.filter((signal) => "description" in signal);

describe("a connection that says it is connected and carries nothing", () => {
  beforeEach(async () => {
    pages.match();
    await pages.clock.pass(10_000);
  });

  test.each(["offerer", "answerer"] as const)(
    "to the %s is healed, and built anew if that is in vain",
    async (role) => {
      const { connection } = pages[role];
      if (connection) connection.deaf = true;
      await pages.clock.pass(STILL_MS - 2 * BEAT_MS);
      expect(pages[role].call.state).toBe("connected");
      await pages.clock.pass(2 * BEAT_MS);
      expect(pages[role].call.state).toBe("interrupted");
      expect(offers()).toMatchObject([{ generation: 1 }, { generation: 1 }]);
      await pages.clock.pass(ATTEMPT_MS + 3_000);
      expect(pages.connected).toBe(true);
      expect(pages[role].states).toEqual(["connecting", "connected", "interrupted", "connected"]);
      expect(pages.offerer.call.remembered.generation).toBe(2);
      expect(await pages.openConnections()).toBe(2);
    },
  );

  test.each(["offerer", "answerer"] as const)(
    "to the %s but sound is given more time, for messages may be lost on a bad line",
    async (role) => {
      Object.assign(pages[role].connection ?? {}, { deaf: true, streams: true });
      await pages.clock.pass(SILENT_MS - 2 * BEAT_MS);
      expect(pages[role].call.state).toBe("connected");
      await pages.clock.pass(2 * BEAT_MS);
      expect(pages[role].call.state).toBe("interrupted");
    },
  );

  test("is given more time, too, where the browser does not say what arrives", async () => {
    const { connection } = pages.offerer;
    Object.assign(connection ?? {}, { deaf: true, getStats: async () => new Map() });
    await pages.clock.pass(SILENT_MS - 2 * BEAT_MS);
    expect(pages.offerer.call.state).toBe("connected");
    await pages.clock.pass(2 * BEAT_MS);
    expect(pages.offerer.call.state).toBe("interrupted");
  });

  test("although the browser says that it was healed is built anew at once", async () => {
    const { connection } = pages.offerer;
    if (connection) connection.deaf = true;
    await pages.clock.pass(STILL_MS);
    connection?.move("connecting");
    connection?.move("connected");
    expect(pages.offerer.call.state).toBe("connected");
    // Browsers stay with the old way for seconds, although they know of the new one.
    await pages.clock.pass(SILENT_MS - 2 * BEAT_MS);
    expect(pages.offerer.call.remembered.generation).toBe(1);
    await pages.clock.pass(3 * BEAT_MS);
    expect(pages.connected).toBe(true);
    expect(pages.offerer.call.remembered.generation).toBe(2);
  });

  test("is not held to be well because of what its state says", async () => {
    const { connection } = pages.answerer;
    if (connection) connection.deaf = true;
    pages.offerer.setReachable(false);
    await pages.clock.pass(60_000);
    expect(pages.answerer.call.state).not.toBe("connected");
    pages.offerer.setReachable(true);
    await pages.clock.pass(ATTEMPT_MS + 5_000);
    expect(pages.connected).toBe(true);
  });

  test("is no matter while the stranger's page has never sent a beat", async () => {
    const quiet = new TwoPages();
    quiet.match();
    await quiet.clock.pass(5);
    for (const connection of quiet.network.open) Object.assign(connection.pulse ?? {}, { opens: () => {} });
    await quiet.clock.pass(120_000);
    expect(quiet.connected).toBe(true);
    expect(quiet.network.connections).toHaveLength(2);
  });
});

describe("a direct way that breaks in mid-call", () => {
  beforeEach(async () => {
    pages.match();
    await pages.clock.pass(10_000);
    pages.network.direct = false;
  });

  test.each([0, 100, 200, 300, 400, 500])(
    "is given up for the relay within 2 s, whatever the browser says of it (%i ms after a beat)",
    async (ms) => {
      pages.network.direct = true;
      await pages.clock.pass(ms);
      pages.network.direct = false;
      await pages.clock.pass(STILL_MS);
      expect(offers()).toHaveLength(2); // which leaves a browser three of the five seconds that it may take
      await pages.clock.pass(500);
      expect(pages.connected).toBe(true);
      expect([pages.offerer.connection?.by, pages.answerer.connection?.by]).toEqual(["relay", "relay"]);
      expect(pages.offerer.call.remembered.generation).toBe(1); // by an ICE restart, and one alone
      await pages.clock.pass(60_000);
      expect(offers()).toHaveLength(2);
      for (const { ways } of [pages.offerer, pages.answerer])
        expect([ways[0]?.local, ways.at(-1)?.local]).toEqual(["host", "relay"]);
    },
  );

  test.each(["offerer", "answerer"] as const)(
    "is given up as soon when the %s alone notices",
    async (role) => {
      pages.network.direct = true;
      const { connection } = pages.other(pages[role]);
      if (!connection) throw new Error("no connection");
      // What it sends is lost until there is another way; what comes, comes.
      const { linked } = connection;
      const hears = connection.hears.bind(connection);
      connection.hears = (channel) => (connection.linked === linked ? null : hears(channel));
      await pages.clock.pass(STILL_MS + 500);
      expect(pages.connected).toBe(true);
      expect(pages[role].states).toEqual(["connecting", "connected", "interrupted", "connected"]);
      expect(offers()).toMatchObject([{ generation: 1 }, { generation: 1 }]);
    },
  );

  test("shows a whole picture at once to who missed some of it: the page asks for it", async () => {
    const asked: string[] = [];
    for (const page of [pages.offerer, pages.answerer]) {
      const { connection } = page;
      const sender = connection?.transceivers[1]?.sender;
      if (sender) sender.track = {} as typeof sender.track;
      Object.assign(sender ?? {}, { setParameters: async () => asked.push(page.role) });
    }
    await pages.clock.pass(5_000);
    expect(pages.connected).toBe(true);
    expect(asked.length).toBeGreaterThan(0);
    expect(asked.length).toBeLessThan(8);
    const before = asked.length;
    // A stranger who asks without end gets a bounded number.
    const pulse = pages.offerer.connection?.pulse;
    for (let i = 0; i < 100; i++) pulse?.onmessage?.({ data: "?" });
    await pages.clock.pass(1_000);
    expect(asked.length - before).toBeLessThan(8);
  });

  test("is given up as soon for a new connection where Firefox takes part", async () => {
    const mixed = new TwoPages();
    mixed.network.mozilla = true;
    mixed.match();
    await mixed.clock.pass(10_000);
    mixed.network.direct = false;
    await mixed.clock.pass(STILL_MS + 500);
    expect(mixed.connected).toBe(true);
    expect([mixed.offerer.connection?.by, mixed.offerer.call.remembered.generation]).toEqual(["relay", 2]);
  });

  test("is not blamed on the stranger by a page that slept", async () => {
    pages.network.direct = true;
    const { connection } = pages.offerer;
    // A page that sleeps hears nothing and counts nothing; then everything comes at once.
    const held: (() => void)[] = [];
    const { pulse } = connection ?? {};
    const hear = pulse?.onmessage;
    if (pulse) pulse.onmessage = (event) => held.push(() => hear?.(event));
    await pages.clock.pass(SILENT_MS - 2 * BEAT_MS);
    if (pulse) pulse.onmessage = hear ?? null;
    for (const each of held) each();
    await pages.clock.pass(SILENT_MS - 2 * BEAT_MS);
    expect(pages.offerer.states).toEqual(["connecting", "connected"]);
  });
});
