import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { startAppliance } from "./appliance.ts";
import type { Appliance } from "./appliance.ts";
import { launchChromium, launchFirefox } from "./browsers.ts";
import { POLL, Visitor } from "./visitor.ts";
import type { VisitorOptions } from "./visitor.ts";

let appliance: Appliance;
let chromium: Browser;
const visitors: Visitor[] = [];
/** What visitors have said and what opens their sessions. */
const secrets = new Set<string>();

beforeAll(async () => {
  [appliance, chromium] = await Promise.all([startAppliance(), launchChromium()]);
});
afterEach(async () => {
  const complaints = visitors.flatMap((visitor) => visitor.complaints);
  for (const visitor of visitors)
    for (const secret of [...visitor.said, ...(await visitor.tokens())]) secrets.add(secret);
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

test("M3: who looks in two tabs is told that they never meet, and counts once; somebody else meets one of them", async () => {
  const red = await visit({ color: "red" });
  const tab = await red.tab();
  visitors.push(tab);
  await red.start();
  await tab.start();
  const told = ({ page }: Visitor) => page.getByText("Your other tab never meets this one.").first();
  await Promise.all([told(red).waitFor(), told(tab).waitFor()]);

  const green = await visit({ color: "green" });
  await green.start();
  await Promise.all([red.meets(green), green.meets(red)]);
  await tab.page.getByText("Nobody else is looking at this moment.").waitFor();
  await told(tab).waitFor();
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

test("one sees oneself; Mute and Camera off are what the stranger hears and sees, and they end", async () => {
  const red = await visit({ color: "red" });
  const green = await visit({ color: "green" });
  await red.start();
  await expect.poll(() => red.seesOwn(), POLL).toBe("red");
  await green.start();
  await Promise.all([red.meets(green), green.meets(red)]);
  expect(await red.seesOwn()).toBe("red");

  await red.button("Mute").click();
  await expect.poll(() => green.heard(), POLL).toBeNull();
  expect(await green.seen()).toBe("red");
  await green.seesMovement();
  await red.button("Unmute").click();
  await green.meets(red);

  await red.button("Camera off").click();
  await green.page.getByText("Their camera is off").first().waitFor();
  await expect.poll(() => green.seen(), POLL).toBeNull();
  await expect.poll(() => red.seesOwn(), POLL).toBeNull();
  await expect.poll(() => green.heard(), POLL).toBe("red");
  await red.meets(green);
  await red.button("Camera on").click();
  await green.meets(red);
  await expect.poll(() => red.seesOwn(), POLL).toBe("red");
});

test("a server that is lost is told, the call goes on, and so does everything when it is back", async () => {
  const folder = mkdtempSync(join(tmpdir(), "chatrandom-e2e-"));
  let own = await startAppliance({ dataDir: folder });
  try {
    const [red, green, blue] = [
      await Visitor.open(chromium, own.url, { color: "red" }),
      await Visitor.open(chromium, own.url, { color: "green" }),
      await Visitor.open(chromium, own.url, { color: "blue" }),
    ];
    visitors.push(red, green, blue);
    await red.start();
    await green.start();
    await Promise.all([red.meets(green), green.meets(red)]);
    await blue.start();
    await blue.page.getByText("Looking for somebody…").first().waitFor();

    expect(await own.stop()).toBe(0);
    const goesOn = red.page.getByText("Server out of reach, your call goes on.", { exact: true });
    const tryingAgain = blue.page.getByText("The server is out of reach. Trying again…").first();
    await goesOn.waitFor();
    await tryingAgain.waitFor();
    await Promise.all([red.meets(green), green.meets(red)]);
    await red.say("without a server");
    await green.hears("without a server");

    own = await startAppliance({ dataDir: folder, port: own.port });
    await goesOn.waitFor({ state: "detached" });
    await tryingAgain.waitFor({ state: "detached" });
    await green.next();
    await Promise.all([green.meets(blue), blue.meets(green)]);
  } finally {
    await own.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});

test("text chat works without a camera, and the page says what to do", async () => {
  const red = await visit({ color: "red", camera: "denied" });
  const green = await visit({ color: "green", camera: "missing" });
  for (const [visitor, title, step] of [
    [red, "The camera is blocked", "Set Camera and Microphone to “Allow”."],
    [green, "No camera found", "Plug one in, or switch it on."],
  ] as const) {
    await visitor.start();
    await visitor.page.getByRole("heading", { name: title }).waitFor();
    await visitor.page.getByText(step).waitFor();
    await visitor.button("Try again").waitFor();
    await visitor.button("Text chat instead").click();
  }
  await red.page.getByRole("textbox", { name: "Message" }).waitFor();
  await expect.poll(() => red.page.getByRole("textbox", { name: "Message" }).isEnabled(), POLL).toBe(true);
  await red.say("no camera here");
  await green.hears("no camera here");
});

test("a page that is not on https says so", async () => {
  const plain = await startAppliance({ args: ["--tls", "off"] });
  // A name that leads here: to a browser it is any other machine, also where there is loopback only.
  const elsewhere = await launchChromium({
    args: ["--host-resolver-rules=MAP plain.example 127.0.0.1"],
  });
  onTestFinished(() => elsewhere.close());
  try {
    const visitor = await Visitor.open(elsewhere, `http://plain.example:${plain.port}/`);
    visitors.push(visitor);
    await visitor.start();
    await visitor.page.getByRole("heading", { name: "This address is not secure" }).waitFor();
    const secure = visitor.page.getByRole("link", { name: "Open with https" });
    expect(await secure.getAttribute("href")).toBe(`https://plain.example:${plain.port}/`);
    await visitor.button("Text chat instead").waitFor();
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

  test("and Chromium: a page that is opened says nothing in the console", async () => {
    for (const browser of [firefox, chromium]) {
      const page = await browser.newPage({ ignoreHTTPSErrors: true });
      const said: string[] = [];
      page.on("console", (message) => said.push(message.text()));
      await page.goto(appliance.url);
      await page.getByText("here now").or(page.getByText("Only you right now")).waitFor();
      expect(said).toEqual([]);
      await page.close();
    }
  });

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

// The last of all: it reads what the tests above have left in the log.
test("the log of all this holds no word of a conversation, no token and no visitor's address", () => {
  const log = appliance.log();
  expect(log).toContain('"msg":"ready"');
  expect(secrets).toContain("hello from red");
  expect([...secrets].filter((secret) => secret.length >= 32).length).toBeGreaterThan(10);
  for (const secret of secrets) expect(log).not.toContain(secret);
  // The relay says at which addresses of this machine it listens; visitors came over loopback.
  expect(log).not.toMatch(/\b127\.\d+\.\d+\.\d+\b|::1|::ffff:/);
});
