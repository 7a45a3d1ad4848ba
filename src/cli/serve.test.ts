import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadConfig } from "../config/load.ts";
import { openLog } from "../log.ts";
import { compareAgain, oddities } from "./serve.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "chatrandom-serve-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

test.each([
  ["port = 1", ["info: SIGHUP: the configuration has not changed"]],
  ["port = 2\nice.urls = ['stun:a']", ["warn: SIGHUP: a restart is needed for port, ice.urls"]],
  ["port = 'x'", ['error: SIGHUP: config.toml:1: port is "x", but must be a whole number from 0 to 65535']],
  [
    "prot = 1\nhots = 1",
    [
      "error: SIGHUP: 2 things are wrong in the configuration",
      "error: SIGHUP: config.toml:1: unknown key prot. Did you mean port?",
      "error: SIGHUP: config.toml:2: unknown key hots. Did you mean host?",
    ],
  ],
])("SIGHUP with %j in the file says what a restart would change", async (toml, expected) => {
  const path = join(directory, "config.toml");
  const sources = { flags: { config: [path] }, files: true };
  writeFileSync(path, "port = 1");
  const before = loadConfig(sources);
  writeFileSync(path, toml);
  const lines: string[] = [];
  const log = await openLog(
    { log_level: "info", log_format: "json" },
    { write: (line) => void lines.push(line) },
  );
  compareAgain(before, sources, log);
  const said = lines
    .map((line) => JSON.parse(line))
    .map(({ level, msg }) => `${level}: ${msg.replace(`${directory}/`, "")}`);
  expect(said).toEqual(expected);
});

test("serve says that it does not use the Redis it is given", () => {
  const loaded = loadConfig({ flags: { redis: ["redis://10.0.0.1"] } });
  expect(oddities("join", loaded)).toEqual([]);
  expect(oddities("serve", loaded)).toEqual([
    "--redis: redis is for chatrandom join; serve uses the Redis inside, and shares its visitors with nobody",
  ]);
  expect(oddities("serve", loadConfig())).toEqual([]);
});
