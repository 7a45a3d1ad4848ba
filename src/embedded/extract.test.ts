import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { extract, privateDirectories, type EmbeddedProgram } from "./extract.ts";

let root: string;
beforeEach(() => void (root = mkdtempSync(join(tmpdir(), "chatrandom test-"))));
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** A program that refuses to run in a directory called "noexec". */
const script = (version: string): EmbeddedProgram => ({
  name: "program",
  content: () => Buffer.from(`#!/bin/sh\n# ${version}\ncase "$0" in */noexec/*) exit 126;; esac\n`),
  probe: ["--version"],
});

test("the program is put into a directory of ours alone, executable by us alone", async () => {
  const file = await extract(script("1"), [join(root, "a/b")]);
  expect(readFileSync(file)).toEqual(script("1").content());
  expect(statSync(file).mode & 0o777).toBe(0o700);
  expect(statSync(join(root, "a/b")).mode & 0o777).toBe(0o700);
});

test("directories where it does not execute, that are somebody's as well or that are links are passed over", async () => {
  mkdirSync(join(root, "open"));
  chmodSync(join(root, "open"), 0o777);
  mkdirSync(join(root, "target"), { mode: 0o700 });
  symlinkSync(join(root, "target"), join(root, "link"));
  const candidates = [
    "/proc/nowhere",
    join(root, "open"),
    join(root, "link"),
    join(root, "noexec"),
    join(root, "good"),
  ];
  expect(await extract(script("1"), candidates)).toContain("/good/");
  expect(readdirSync(join(root, "open"))).toEqual([]);
  expect(readdirSync(join(root, "target"))).toEqual([]);
});

test("what did not run when it was written is not taken at the next start", async () => {
  const candidates = [join(root, "noexec"), join(root, "good")];
  await extract(script("1"), candidates);
  expect(readdirSync(join(root, "noexec"))).toEqual([]);
  expect(await extract(script("1"), candidates)).toContain("/good/");
});

test("one that was there already is passed over when it may not be executed any more", async () => {
  const file = await extract(script("1"), [join(root, "a")]);
  chmodSync(file, 0o600);
  expect(await extract(script("1"), [join(root, "a"), join(root, "b")])).toContain("/b/");
});

test("when none will do, one line names each and why", async () => {
  await expect(extract(script("1"), ["/proc/nowhere", join(root, "noexec")])).rejects.toThrow(
    `found no directory that program can be run from: tried /proc/nowhere (ENOENT), ${root}/noexec (it exits with 126)`,
  );
});

test("a file that was changed is written anew before it is run; an intact one is kept", async () => {
  const file = await extract(script("1"), [root]);
  const written = statSync(file).ino;
  await extract(script("1"), [root]);
  expect(statSync(file).ino).toBe(written);
  writeFileSync(file, "#!/bin/sh\necho changed\n");
  expect(await extract(script("1"), [root])).toBe(file);
  expect(readFileSync(file)).toEqual(script("1").content());
});

test("the file of an older version is removed", async () => {
  await extract(script("1"), [root]);
  const file = await extract(script("2"), [root]);
  expect(readdirSync(root).map((name) => join(root, name))).toEqual([file]);
});

test("without HOME the temporary directories are left, under a name of our own", () => {
  const directories = privateDirectories("/data", {});
  expect(directories[0]).toBe("/data/programs");
  expect(directories.slice(1)).toEqual(
    [...new Set([tmpdir(), "/tmp", "/var/tmp", "/dev/shm"])].map(
      (folder) => `${folder}/chatrandom-${process.geteuid!()}`,
    ),
  );
  expect(privateDirectories("/data", { HOME: "/home/me" })).toContain("/home/me/.cache/chatrandom");
  expect(privateDirectories("/data", { HOME: "/home/me", XDG_CACHE_HOME: "/cache" })).toContain(
    "/cache/chatrandom",
  );
});
