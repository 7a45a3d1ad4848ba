/**
 * From the click on Next to the first frame of the next stranger, as visitors live it: the built executable, real
 * Chromium windows on this machine, three visitors of whom one presses Next again and again. `npm run bench:next [N]`.
 */
import { startAppliance } from "../../ui/e2e/appliance.ts";
import { launchChromium } from "../../ui/e2e/browsers.ts";
import { Visitor } from "../../ui/e2e/visitor.ts";

const [count = "30"] = process.argv.slice(2);
const rounds = Number(count);
if (!Number.isInteger(rounds) || rounds < 1) {
  console.log("npm run bench:next -- [N]\n  N  how often Next is pressed, 30 unless given");
  process.exit(count === "--help" ? 0 : 2);
}
const quantile = (sorted: number[], q: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!;

// With so few people the rule against meeting somebody again at once would be all that is measured.
const appliance = await startAppliance({
  args: ["--matching-recent-after", "0s", "--limits-find-burst", "1000", "--limits-find-per-second", "100"],
});
const browser = await launchChromium();
try {
  const small = { width: 480, height: 640 };
  const visitors = [
    await Visitor.open(browser, appliance.url, { color: "red", viewport: small }),
    await Visitor.open(browser, appliance.url, { color: "green", viewport: small }),
    await Visitor.open(browser, appliance.url, { color: "blue", viewport: small }),
  ];
  for (const visitor of visitors) await visitor.start();
  const [presser] = visitors as [Visitor];
  await presser.seesMovement();

  const times: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    times.push(await presser.page.evaluate(nextToFirstFrame));
    await presser.seesMovement();
  }
  times.sort((a, b) => a - b);
  const median = Math.round(quantile(times, 0.5));
  const p95 = Math.round(quantile(times, 0.95));
  console.log(`Next to the first new frame, ${rounds} times: median ${median} ms, p95 ${p95} ms`);
} finally {
  await browser.close();
  await appliance.stop();
}

/** Runs in the page. */
function nextToFirstFrame(): Promise<number> {
  const video = document.querySelector<HTMLVideoElement>('video[aria-label="Stranger"]')!;
  const next = [...document.querySelectorAll("button")].find((button) =>
    button.textContent?.startsWith("Next"),
  )!;
  const before = video.srcObject;
  const clicked = performance.now();
  next.click();
  return new Promise((resolve) => {
    const look = () => {
      if (video.srcObject && video.srcObject !== before) {
        video.requestVideoFrameCallback(() => resolve(performance.now() - clicked));
      } else requestAnimationFrame(look);
    };
    look();
  });
}
