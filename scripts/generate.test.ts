import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { exampleFile } from "../src/config/example.ts";
import { withReference } from "./generate.ts";

const read = (name: string) => readFileSync(new URL(`../${name}`, import.meta.url), "utf8");

test("the reference replaces what stands between the markers, and nothing else", () => {
  const readme = withReference("before\n<!-- options -->\nstale words\n<!-- /options -->\nafter\n");
  expect(readme).toMatch(/^before\n<!-- options -->\n\nEvery option /);
  expect(readme).toMatch(/\|\n\n<!-- \/options -->\nafter\n$/);
  expect(readme).not.toContain("stale words");
  expect(withReference(readme)).toBe(readme);
});

test("a README without markers is refused", () => {
  expect(() => withReference("nothing")).toThrow("markers");
});

test("the example file and the README are up to date: node scripts/generate.ts", () => {
  expect(read("config.example.toml")).toBe(exampleFile());
  expect(read("README.md")).toBe(withReference(read("README.md")));
});
