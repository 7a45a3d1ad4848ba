import { mkdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { root, run, type Step } from "./step.ts";

const name = `test-${process.pid}`;
const folder = join(root, ".cache", name);
const file = (part: string) => join(folder, part);
const past = new Date(Date.now() - 60_000);
const write = (part: string, content: string, when = past) => {
  writeFileSync(file(part), content);
  utimesSync(file(part), when, when);
};

let made: number;
const step = (key = "key"): Step => ({
  name,
  key,
  outputs: [file("output")],
  async make() {
    made++;
    write("output", "");
    return [file("input")];
  },
});

beforeEach(() => {
  made = 0;
  mkdirSync(folder, { recursive: true });
  write("input", "one");
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
  rmSync(join(root, `.cache/build/${name}.json`), { force: true });
});

test("a step is done again only when an input, the key or the output has changed", async () => {
  expect(await run(step())).toBe(true);
  expect(await run(step())).toBe(false);
  write("input", "two");
  expect(await run(step())).toBe(true);
  expect(await run(step("another key"))).toBe(true);
  expect(await run(step("another key"))).toBe(false);
  rmSync(file("output"));
  expect(await run(step("another key"))).toBe(true);
  expect(made).toBe(4);
});

test("an input that is touched without a change is no reason", async () => {
  await run(step());
  write("input", "one", new Date());
  expect(await run(step())).toBe(false);
});

test("an input that was written to while the step was done may have been read before: it is done again", async () => {
  const writing = {
    ...step(),
    make: () =>
      step()
        .make()
        .finally(() => writeFileSync(file("input"), "during")),
  };
  expect(await run(writing)).toBe(true);
  write("input", "during");
  expect(await run(step())).toBe(true);
  expect(await run(step())).toBe(false);
});
