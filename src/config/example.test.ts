import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { exampleFile, reference } from "./example.ts";
import { loadConfig } from "./load.ts";
import { flagOf, keys, type Option, options, variableOf } from "./options.ts";

function load(text: string) {
  const directory = mkdtempSync(join(tmpdir(), "chatrandom-example-"));
  try {
    const path = join(directory, "example.toml");
    writeFileSync(path, text);
    return loadConfig({ flags: { config: [path] }, files: true });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test("the example as it is changes nothing", () => {
  expect(load(exampleFile()).config).toEqual(loadConfig().config);
});

test("the example without its # in front of keys says the defaults, every one in its section", () => {
  const { config, origins } = load(exampleFile().replaceAll(/^#(?=\w)/gm, ""));
  expect(config).toEqual({ ...loadConfig().config, data_dir: "/var/lib/chatrandom" });
  expect(Object.values(origins)).not.toContain("default");
});

test("example and reference name every option", () => {
  const example = exampleFile();
  for (const key of keys) {
    expect(example).toContain(variableOf(key));
    expect(reference()).toContain(`| \`${key}\` |`);
    if (!(options[key] as Option).secret) expect(example).toContain(`--${flagOf(key)},`);
  }
  expect(example).not.toContain("--ice-credential");
  expect(example).not.toContain("--link-secret");
});

test("the example can be read in a terminal", () => {
  expect(
    exampleFile()
      .split("\n")
      .filter((line) => line.length > 100),
  ).toEqual([]);
});
