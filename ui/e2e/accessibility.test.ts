/** The page for who uses no mouse, sees badly, hears it read, or wants nothing to move. */
import axe from "axe-core";
import type { AxeResults } from "axe-core";
import type { Browser, Locator } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { startAppliance } from "./appliance.ts";
import type { Appliance } from "./appliance.ts";
import { launchChromium } from "./browsers.ts";
import { POLL, Visitor } from "./visitor.ts";
import type { VisitorOptions } from "./visitor.ts";

const PHONE = { width: 390, height: 844 };

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
});
afterAll(async () => {
  await chromium?.close();
  expect(await appliance?.stop()).toBe(0);
});

const visit = async (options: VisitorOptions = {}): Promise<Visitor> => {
  const visitor = await Visitor.open(chromium, appliance.url, options);
  visitors.push(visitor);
  // What still moves is half transparent, and has no contrast to measure.
  await visitor.page.emulateMedia({ reducedMotion: "reduce" });
  return visitor;
};

/** Holds the page as it is against the rules of axe-core, in its light and its dark colours. */
async function isSound({ page }: Visitor): Promise<void> {
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.evaluate(axe.source);
    const { violations } = await page.evaluate(() =>
      (window as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run(),
    );
    const told = violations.map(({ id, nodes }) => [
      id,
      ...nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`),
    ]);
    expect(told, colorScheme).toEqual([]);
  }
}

/** Waits until a screen reader is told so. */
const isRead = ({ page }: Visitor, text: string): Promise<void> =>
  page.getByRole("status").filter({ hasText: text }).waitFor({ state: "attached" });

test("axe finds nothing wrong with home and its preferences", async () => {
  const red = await visit();
  await isSound(red);
  await red.page.getByText("Languages", { exact: true }).click();
  await red.page.getByRole("textbox", { name: "Interests" }).fill("film, cycling,");
  await red.page.getByRole("combobox", { name: "Add a language" }).selectOption("pt");
  await isSound(red);
  await red.page.setViewportSize(PHONE);
  await isSound(red);
});

test("axe finds nothing wrong without a camera", async () => {
  const red = await visit({ camera: "denied" });
  await red.start();
  await red.page.getByRole("heading", { name: "The camera is blocked" }).waitFor();
  // The button that was pressed is gone: the keyboard goes on from the top of this screen.
  await red.page.locator("main:focus").waitFor();
  await isSound(red);
});

test.each([PHONE, undefined])("axe finds nothing wrong with a call: %j", async (viewport) => {
  const [red, green] = [await visit({ color: "red", viewport }), await visit({ color: "green" })];
  await red.start();
  await isRead(red, "Looking for somebody…");
  await isSound(red);
  await green.start();
  await Promise.all([red.meets(green), green.meets(red)]);
  await red.say("hello");
  await green.say("hello yourself");
  await red.hears("hello yourself");
  await isSound(red);
  await red.button("Mute").click();
  await red.button("Camera off").click();
  await green.button("Camera off").click();
  await red.page.getByText("Their camera is off").first().waitFor();
  await isSound(red);
  await red.button("Report or block").click();
  await isSound(red);
  await red.button("Report…").click();
  await isSound(red);
  await red.button("Cancel").click();
  await green.stop();
  await red.page.getByText("They left.").first().waitFor();
  await red.page.locator('[data-layout="two"]').waitFor();
  await isSound(red);
});

test("axe finds nothing wrong with a text chat", async () => {
  const [red, green] = [await visit(), await visit()];
  for (const visitor of [red, green]) await visitor.button("Text only").click();
  await red.page.getByText("Say hello. What you write").waitFor();
  await red.say("only words");
  await green.hears("only words");
  await isSound(green);
});

test.each(["Start", "Text only"])(
  "a call that breaks for good says so and what helps, whole and aloud, on a phone too: %s",
  async (mode) => {
    const [red, green] = [
      await visit({ color: "red", viewport: PHONE, clock: true }),
      await visit({ color: "green" }),
    ];
    for (const visitor of [red, green]) await visitor.button(mode).click();
    await isRead(red, "You are talking with somebody.");
    await green.say("hello");
    await red.hears("hello");
    await green.loseConnections();
    await isRead(red, "Reconnecting…");
    await isSound(red);
    await red.page.clock.fastForward(30_000);
    await isRead(red, "The connection broke");
    await isRead(red, "Press Next to meet somebody else.");
    await isSound(red);
    const over = [red.button("Report or block")];
    if (mode === "Start") over.push(red.button("Move own picture"));
    for (const viewport of [PHONE, { width: 900, height: 700 }]) {
      await red.page.setViewportSize(viewport);
      for (const told of ["The connection broke", "Press Next to meet somebody else."]) {
        const words = red.page.getByText(told, { exact: true });
        for (const each of over) expect(await overlap(words, each)).toBe(false);
      }
    }
  },
);

test("all of a call is done by the keyboard alone, and what happens is read aloud", async () => {
  const [red, green, blue] = [
    await visit({ color: "red" }),
    await visit({ color: "green" }),
    await visit({ color: "blue" }),
  ];
  const { keyboard } = red.page;
  const focused = red.page.locator(":focus");
  const press = async (...keys: string[]) => {
    for (const key of keys) await keyboard.press(key);
  };
  /** Presses Tab until the focus is on what has this name. */
  const reach = async (name: string) => {
    const names: string[] = [];
    for (let i = 0; i < 40; i++) {
      await keyboard.press("Tab");
      if ((await focused.count()) === 0) continue; // in the browser's own controls
      const [now = ""] = (await focused.ariaSnapshot()).split("\n");
      if (now.includes(`"${name}"`)) return;
      names.push(now);
    }
    throw new Error(`Tab never reaches ${name}, but ${names.join(", ")}`);
  };
  await reach("Interests optional");
  await keyboard.type("go,");
  await press("Backspace"); // takes the interest away again: anybody will do
  await reach("Start");
  await press("Enter");
  await isRead(red, "Looking for somebody…");
  expect(await red.page.title()).toBe("ChatRandom");
  await green.start();
  await isRead(red, "You are talking with somebody.");
  expect(await red.page.title()).toBe("Somebody is here · ChatRandom");
  await Promise.all([red.meets(green), green.meets(red)]);

  await reach("Message");
  await keyboard.type("no mouse");
  await press("Enter");
  await green.hears("no mouse");
  await blue.start();
  await isRead(blue, "Looking for somebody…");
  await press("Escape", "Escape"); // out of the box, then Next
  await Promise.all([red.meets(blue), blue.meets(red)]);
  await reach("Mute");
  await press("Space");
  await red.button("Unmute").waitFor();

  await reach("Report or block");
  await press("Enter");
  await reach("Report…");
  await press("Enter", "Space"); // the first reason
  await reach("Report");
  await press("Enter");
  await isRead(red, "Thank you, your report has arrived.");
  await expect.poll(() => blue.seen(), POLL).not.toBe("red");
  await reach("Next");
  await reach("Stop");
  await press("Enter");
  await red.button("Start").waitFor();
});

test("nothing moves for who does not want it", async () => {
  const red = await visit();
  const moving = () => red.page.evaluate(() => document.getAnimations().length);
  expect(await moving()).toBe(0);
  await red.start();
  await isRead(red, "Looking for somebody…");
  expect(await moving()).toBe(0);
});

test.each([
  { width: 320, height: 568 },
  { width: 568, height: 320 },
  { width: 740, height: 360 },
  { width: 900, height: 700 },
])("no button is cut off: %j", async (viewport) => {
  const [red, green] = [await visit({ color: "red", viewport }), await visit({ color: "green" })];
  const cut = () => red.page.evaluate(cutOff);
  expect(await cut()).toEqual([]);
  await red.start();
  await isRead(red, "Looking for somebody…");
  expect(await cut()).toEqual([]);
  await green.start();
  await isRead(red, "You are talking with somebody.");
  expect(await cut()).toEqual([]);
  await red.button("Chat").click();
  expect(await cut()).toEqual([]);
});

async function overlap(one: Locator, other: Locator): Promise<boolean> {
  const [a, b] = [await one.boundingBox(), await other.boundingBox()];
  if (!a || !b) throw new Error("not on the page");
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

/** Runs in the page. The names of what one presses or writes in and that is partly beside the screen. */
function cutOff(): string[] {
  return [...document.querySelectorAll("button, input, textarea, summary")]
    .filter((element) => element.checkVisibility())
    .filter((element) => {
      const { left, right } = element.getBoundingClientRect();
      return left < 0 || right > innerWidth;
    })
    .map((element) => element.ariaLabel ?? element.textContent);
}
