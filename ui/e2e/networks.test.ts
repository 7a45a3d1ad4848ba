/**
 * Visitors whose networks do not let them reach each other, and one that stops doing so in mid-call. Their calls go
 * through the relay inside the executable.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startAppliance } from "./appliance.ts";
import type { Appliance } from "./appliance.ts";
import { launchChromium, launchFirefox } from "./browsers.ts";
import { Networks } from "./networks.ts";
import { type Trust, trusted } from "./test-trust.ts";
import { POLL, Visitor } from "./visitor.ts";

const SIGNALING = "tcp dport 8080";
/** For TLS a name is needed: Firefox does not speak TURN over TLS with a bare address. */
const NAME = "place.example";
const folder = mkdtempSync(join(tmpdir(), "chatrandom-networks-"));
let networks: Networks;
let trust: Trust;
let appliance: Appliance;
let away: Browser;
let here: Browser;
const visitors: Visitor[] = [];

beforeAll(async () => {
  networks = new Networks();
  const { place, placeNamespace: namespace } = networks;
  trust = await trusted(folder, NAME);
  // Nothing else has an address: who is away reaches no name server, and would wait for it.
  const args = [`--host-resolver-rules=MAP ${NAME} ${place}, MAP * ~NOTFOUND, EXCLUDE ${place}`];
  [appliance, away, here] = await Promise.all([
    startAppliance({ port: 8080, turnPort: 3478, namespace, host: place }),
    launchChromium({ args, home: trust.home(), executablePath: networks.awayCommand("/usr/bin/chromium") }),
    launchChromium({ args, home: trust.home() }),
  ]);
});
afterAll(async () => {
  await Promise.all([away?.close(), here?.close()]);
  const ended = await appliance?.stop();
  // Also where it never began: they would be there for whatever the machine runs next.
  networks?.remove();
  rmSync(folder, { recursive: true, force: true });
  expect(ended).toBe(0);
});

beforeEach(() => {
  networks.allow("everything");
  networks.forward(false);
});
afterEach(async () => {
  const complaints = visitors.flatMap((visitor) => visitor.complaints);
  await Promise.all(visitors.splice(0).map((visitor) => visitor.close()));
  expect(complaints).toEqual([]);
});

async function pair(other: Browser = here, url = appliance.url): Promise<[Visitor, Visitor]> {
  const red = await Visitor.open(away, url, { color: "red" });
  const green = await Visitor.open(other, url, { color: "green" });
  visitors.push(red, green);
  await red.start();
  await green.start();
  await Promise.all([red.meets(green), green.meets(red)]);
  return [red, green];
}

/** Has a call between Chromium, which is away, and the named browser here, and asks both by which way it goes. */
async function callGoes(name: string, expected: { local: string; transport: string }, url?: string) {
  const firefox =
    name === "Firefox"
      ? await launchFirefox(trust.profile(), { "network.dns.forceResolve": networks.place })
      : undefined;
  try {
    for (const visitor of await pair(firefox, url))
      await expect.poll(() => visitor.way(), POLL).toMatchObject(expected);
  } finally {
    if (firefox) await Promise.all(visitors.splice(0).map((visitor) => visitor.close()));
    await firefox?.close();
  }
}

describe.each([
  ["UDP", "udp dport 3478", "udp"],
  ["TCP alone", "tcp dport 3478", "tcp"],
] as const)("by the relay over %s", (_, relay, transport) => {
  test.each(["Chromium", "Firefox"])("Chromium and %s see and hear each other", async (name) => {
    networks.allow(SIGNALING, relay);
    await callGoes(name, { local: "relay", transport });
  });
});

describe("where nothing but port 443 is let through", () => {
  let secure: Appliance;
  beforeAll(async () => {
    const { place, placeNamespace: namespace } = networks;
    const files = [`--https-certificate=${trust.certificate}`, `--https-key=${trust.key}`];
    const args = [`--domain=${NAME}`, ...files, "--ice-policy=relay"];
    secure = await startAppliance({ port: 443, namespace, host: place, args });
  });
  afterAll(async () => expect(await secure?.stop()).toBe(0));

  test.each(["Chromium", "Firefox"])("Chromium and %s see and hear each other", async (name) => {
    networks.allow("tcp dport 443");
    const before = await secure.metric("chatrandom_relay_streams_total");
    await callGoes(name, { local: "relay", transport: "tls" }, `https://${NAME}/`);
    expect(await secure.metric("chatrandom_relay_streams_total")).toBeGreaterThanOrEqual(before + 2);
  });
});

test("a call whose direct way breaks goes on by the relay, with the connection that it has", async () => {
  networks.forward(true);
  const [red, green] = await pair();
  const callConnections = () => Promise.all([red.callConnection(), green.callConnection()]);
  const offers = () => [...red.frames, ...green.frames].filter((frame) => frame.includes('"type":"offer"'));
  await expect.poll(async () => isDirect(await red.way()), POLL).toBe(true);
  const [made, offered] = [await callConnections(), offers().length];
  networks.forward(false);
  await expect
    .poll(async () => [(await red.way())?.local, (await green.way())?.local], POLL)
    .toContain("relay");
  await Promise.all([red.meets(green), green.meets(red)]);
  expect(await callConnections()).toEqual(made);
  expect(offers().length).toBeGreaterThan(offered); // ICE restarted
  await green.say("that was quick");
  await red.hears("that was quick");

  const before = await appliance.metric("chatrandom_calls_total");
  await red.stop();
  await expect.poll(() => appliance.metric("chatrandom_calls_total"), POLL).toBe(before + 2);
});

test("who hides their address goes by the relay, and tells nobody any address", async () => {
  networks.forward(true);
  const red = await Visitor.open(away, appliance.url, { color: "red" });
  const green = await Visitor.open(here, appliance.url, { color: "green" });
  visitors.push(red, green);
  await red.page.getByRole("switch", { name: "Hide my address" }).check();
  await red.start();
  await green.start();
  await Promise.all([red.meets(green), green.meets(red)]);
  expect(await red.way()).toMatchObject({ local: "relay" });
  const told = red.frames.join("\n");
  expect(told).toMatch(/ typ relay /);
  expect(told).not.toMatch(/ typ (host|srflx|prflx) /);
  expect(told).not.toContain(networks.awayAddress);
  expect(green.frames.join("\n")).toMatch(/ typ host /);

  await red.page.reload();
  await Promise.all([red.meets(green), green.meets(red)]);
  expect(red.frames.join("\n")).not.toContain(networks.awayAddress);
  expect(await red.way()).toMatchObject({ local: "relay" });
});

/** Seen from one side a way may begin at an address that only the other one knows: `prflx`. */
const isDirect = (way: { local: string } | null): boolean => way !== null && way.local !== "relay";
