import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { keepAddonsIn, loadAddon } from "./addon.ts";

const zeromq = dirname(createRequire(import.meta.url).resolve("zeromq/package.json"));
const build = join(zeromq, "build", process.platform, process.arch, "node/glibc-127-Release/addon.node");

let root: string;
beforeEach(() => void (root = mkdtempSync(join(tmpdir(), "chatrandom addon-"))));
afterEach(() => rmSync(root, { recursive: true, force: true }));

test("zeromq's addon is loaded from the first directory that takes it, and has CURVE", () => {
  keepAddonsIn(["/proc/nowhere", join(root, "addons"), join(root, "never")]);
  const addon = loadAddon("zeromq.node", readFileSync(build));
  expect(addon).toMatchObject({ capability: { curve: true } });
  expect(readdirSync(root)).toEqual(["addons"]);
});

test("an addon that cannot be loaded anywhere is one line that names each directory and why", () => {
  keepAddonsIn(["/proc/nowhere", join(root, "addons")]);
  expect(() => loadAddon("zeromq.node", Buffer.from("no addon"))).toThrow(
    /^found no directory that zeromq.node can be loaded from: tried \/proc\/nowhere \(ENOENT\), .*\/addons \(ERR_DLOPEN_FAILED\)$/,
  );
});
