/** The systemd units: systemd understands them, and the program understands what they start it with. */
import { execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { loadConfig } from "../config/load.ts";
import { startTestRedis } from "../redis/test-server.ts";

const path = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const EXECUTABLE = path("dist/chatrandom");
/** What untilStopped grants beyond the drain. */
const STOP_MARGIN_S = 5;

function valuesOf(unit: string): (name: string) => string {
  const lines = readFileSync(path(`scripts/packaging/${unit}`), "utf8").split("\n");
  return (name) => {
    const values = lines.filter((line) => line.startsWith(`${name}=`));
    expect(values).toHaveLength(1);
    return values[0]!.slice(name.length + 1);
  };
}

test.each(["chatrandom.service", "chatrandom-join.service"])(
  "%s: systemd finds nothing wrong, it starts, and it ends before systemd loses patience",
  async (unit) => {
    const folder = mkdtempSync(join(tmpdir(), "chatrandom-unit-"));
    const redis = await startTestRedis();
    try {
      const copy = join(folder, unit);
      const text = readFileSync(path(`scripts/packaging/${unit}`), "utf8");
      writeFileSync(copy, text.replaceAll("/usr/local/bin/chatrandom", EXECUTABLE));
      const { stdout, stderr } = await promisify(execFile)("systemd-analyze", ["verify", copy]);
      expect(stdout + stderr).toBe("");

      const value = valuesOf(unit);
      const config = join(folder, "chatrandom.toml");
      writeFileSync(
        config,
        `port = 0\nhost = "127.0.0.1"\nredis = "${redis.url}"\n[link]\nport = 0\n[turn]\nport = 0\n`,
      );
      const [program, ...args] = value("ExecStart").replace("/etc/chatrandom.toml", config).split(" ");
      expect(program).toBe("/usr/local/bin/chatrandom");
      const given = value("Environment").replaceAll("%S", folder).split(" ");
      const env = {
        ...Object.fromEntries(given.map((one) => one.split("=") as [string, string])),
        CHATRANDOM_LINK_SECRET: randomBytes(32).toString("hex"),
      };
      const child = spawn(EXECUTABLE, args, { env, cwd: "/", stdio: ["ignore", "ignore", "pipe"] });
      const ended = once(child, "exit");
      const lines: string[] = [];
      for await (const line of createInterface({ input: child.stderr })) {
        lines.push(line);
        if ((JSON.parse(line) as { msg: string }).msg === "ready") child.kill("SIGTERM");
      }
      expect([await ended, lines.at(-1)]).toEqual([[0, null], expect.stringContaining('"stopped"')]);

      // A port that is free again only after some seconds is no reason to stay away.
      expect([value("Restart"), value("StartLimitIntervalSec")]).toEqual(["on-failure", "0"]);
      const { drain_timeout } = loadConfig({}).config;
      expect(Number.parseInt(value("TimeoutStopSec"), 10)).toBeGreaterThan(
        drain_timeout / 1_000 + STOP_MARGIN_S,
      );
    } finally {
      await redis.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  },
);
