/** Visitors whose networks do not let them reach each other, and one that stops doing so in mid-call. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { coturn } from "../../scripts/native/coturn.ts";
import { obtain } from "../../scripts/native/program.ts";
import { startAppliance } from "./appliance.ts";
import type { Appliance } from "./appliance.ts";
import { launchChromium, launchFirefox } from "./browsers.ts";
import { Networks } from "./networks.ts";
import { POLL, Visitor } from "./visitor.ts";

const SIGNALING = "tcp dport 8080";
const folder = mkdtempSync(join(tmpdir(), "chatrandom-networks-"));
let networks: Networks;
let relay: ChildProcess;
let appliance: Appliance;
let away: Browser;
let here: Browser;
const visitors: Visitor[] = [];

beforeAll(async () => {
  networks = new Networks();
  const { place, placeNamespace: namespace } = networks;
  const settings = [
    `--listening-ip=${place}`,
    `--relay-ip=${place}`,
    "--user=u:c",
    "--realm=test",
    "--no-tls",
  ];
  const program = obtain(coturn).path;
  relay = spawn(
    "ip",
    ["netns", "exec", namespace, program, "-n", "--lt-cred-mech", "--no-cli", ...settings],
    {
      cwd: folder,
      stdio: "ignore",
    },
  );
  const config = join(folder, "chatrandom.toml");
  const urls = ["udp", "tcp"].map((transport) => `"turn:${place}:3478?transport=${transport}"`);
  writeFileSync(config, `[ice]\nurls = [${urls.join(", ")}]\nusername = "u"\ncredential = "c"\n`);
  [appliance, away, here] = await Promise.all([
    startAppliance({ port: 8080, namespace, host: place, args: ["--config", config] }),
    launchChromium([], networks.awayCommand("/usr/bin/chromium")),
    launchChromium(),
  ]);
});
afterAll(async () => {
  await Promise.all([away?.close(), here?.close()]);
  expect(await appliance?.stop()).toBe(0);
  relay?.kill();
  networks?.remove();
  rmSync(folder, { recursive: true, force: true });
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

async function pair(other: Browser = here): Promise<[Visitor, Visitor]> {
  const red = await Visitor.open(away, appliance.url, { color: "red" });
  const green = await Visitor.open(other, appliance.url, { color: "green" });
  visitors.push(red, green);
  await red.start();
  await green.start();
  await Promise.all([red.meets(green), green.meets(red)]);
  return [red, green];
}

const WAYS = [
  ["UDP", [SIGNALING, "udp dport 3478"], "udp"],
  ["TCP alone", [SIGNALING, "tcp dport 3478"], "tcp"],
] as const;

describe.each(WAYS)("by the relay over %s", (_, [first, ...more], transport) => {
  test.each(["Chromium", "Firefox"])("Chromium and %s see and hear each other", async (name) => {
    networks.allow(first, ...more);
    const other = name === "Firefox" ? await launchFirefox() : here;
    try {
      for (const visitor of await pair(other)) {
        await expect.poll(() => visitor.way(), POLL).toMatchObject({ local: "relay", transport });
      }
    } finally {
      if (other !== here) await Promise.all(visitors.splice(0).map((visitor) => visitor.close()));
      if (other !== here) await other.close();
    }
  });
});

test("a call whose direct way breaks goes on by the relay", async () => {
  networks.forward(true);
  const [red, green] = await pair();
  await expect.poll(async () => isDirect(await red.way()), POLL).toBe(true);
  networks.forward(false);
  await expect
    .poll(async () => [(await red.way())?.local, (await green.way())?.local], POLL)
    .toContain("relay");
  await Promise.all([red.meets(green), green.meets(red)]);
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
