import { networkInterfaces } from "node:os";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { startAppliance } from "./appliance.ts";
import type { Appliance } from "./appliance.ts";
import { launchChromium, launchFirefox } from "./browsers.ts";
import { POLL, Visitor } from "./visitor.ts";
import type { VisitorOptions } from "./visitor.ts";

let appliance: Appliance;
let chromium: Browser;
const visitors: Visitor[] = [];

beforeAll(async () => {
  [appliance, chromium] = await Promise.all([startAppliance(), launchChromium()]);
});
afterEach(async () => {
  const complaints = visitors.flatMap((visitor) => visitor.complaints);
  await Promise.all(visitors.splice(0).map((visitor) => visitor.close()));
  expect(complaints).toEqual([]);
  // The sessions of closed pages end after the grace; a test of its own must not meet them, and cannot: absent
  // visitors are never matched (S4).
});
afterAll(async () => {
  await chromium?.close();
  expect(await appliance?.stop()).toBe(0);
});

const visit = async (options: VisitorOptions = {}, browser: Browser = chromium): Promise<Visitor> => {
  const visitor = await Visitor.open(browser, appliance.url, options);
  visitors.push(visitor);
  return visitor;
};

test("two strangers see and hear each other, write, and Next finds the third", async () => {
  const red = await visit({ color: "red" });
  const green = await visit({ color: "green" });
  await red.start();
  await green.start();
  await Promise.all([red.meets(green), green.meets(red)]);

  await red.say("hello from red");
  await green.hears("hello from red");
  await green.say("and from green");
  await red.hears("and from green");

  const blue = await visit({ color: "blue" });
  await blue.start();
  await red.next();
  await Promise.all([red.meets(blue), blue.meets(red)]);
  await expect.poll(() => green.seen(), POLL).toBeNull();
  expect(await red.page.getByText("and from green").count()).toBe(0);

  // Whose stranger stops goes on searching, and green waits already.
  await red.stop();
  await red.button("Start").waitFor();
  await Promise.all([blue.meets(green), green.meets(blue)]);
});

test("S2: a dropped socket does not touch the call", async () => {
  const red = await visit({ color: "red" });
  const green = await visit({ color: "green" });
  await red.start();
  await green.start();
  await Promise.all([red.meets(green), green.meets(red)]);
  const made = await red.callConnection();
  const resumes = await appliance.metric("chatrandom_sessions");

  await red.dropSocket();
  await red.seesMovement();
  await expect.poll(() => appliance.metric("chatrandom_connections"), POLL).toBe(2);
  await Promise.all([red.meets(green), green.meets(red)]);
  expect(await red.callConnection()).toBe(made);
  expect(await appliance.metric("chatrandom_sessions")).toBe(resumes);

  await green.say("still there?");
  await red.hears("still there?");
});

test("S3: a reload goes on with the same partner", async () => {
  const red = await visit({ color: "red" });
  const green = await visit({ color: "green" });
  await red.start();
  await green.start();
  await Promise.all([red.meets(green), green.meets(red)]);
  const matches = await appliance.metric("chatrandom_matches_total");

  await red.page.reload();
  await Promise.all([red.meets(green), green.meets(red)]);
  expect(await appliance.metric("chatrandom_matches_total")).toBe(matches);
});

test("text chat works without a camera, and the page says what to do", async () => {
  const red = await visit({ color: "red", camera: "denied" });
  const green = await visit({ color: "green", camera: "missing" });
  for (const visitor of [red, green]) {
    await visitor.start();
    await visitor.page.getByRole("button", { name: /text/i }).first().click();
  }
  await red.page.getByRole("textbox", { name: "Message" }).waitFor();
  await expect.poll(() => red.page.getByRole("textbox", { name: "Message" }).isEnabled(), POLL).toBe(true);
  await red.say("no camera here");
  await green.hears("no camera here");
});

test("a page that is not on https says so", async () => {
  const network = Object.values(networkInterfaces())
    .flat()
    .find((address) => address && !address.internal && address.family === "IPv4");
  // A machine with loopback only has no insecure address to try.
  if (!network) return;
  const plain = await startAppliance({ args: ["--tls", "off"] });
  try {
    const visitor = await Visitor.open(chromium, `http://${network.address}:${plain.port}/`);
    visitors.push(visitor);
    await visitor.start();
    await visitor.page.getByText(/https/i).first().waitFor();
  } finally {
    await plain.stop();
  }
});

describe("Firefox", () => {
  let firefox: Browser;
  beforeAll(async () => {
    firefox = await launchFirefox();
  });
  afterAll(() => firefox?.close());

  test.each(["Firefox is the first", "Chromium is the first"])("meets Chromium: %s", async (order) => {
    const fox = await visit({ color: "yellow" }, firefox);
    const chrome = await visit({ color: "blue" });
    const both = order.startsWith("Firefox") ? [fox, chrome] : [chrome, fox];
    for (const visitor of both) await visitor.start();
    await Promise.all([fox.meets(chrome), chrome.meets(fox)]);
    await fox.say("from the fox");
    await chrome.hears("from the fox");
  });
});
