import { execFile, execFileSync } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { lineWriter } from "./line-writer.ts";
import { until } from "./test-until.ts";

let directory: string;
let opened: number[];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "chatrandom-lines-"));
  opened = [];
});
afterEach(() => {
  for (const fd of opened) closeSync(fd);
  rmSync(directory, { recursive: true });
});

const open = (path: string, flags: number): number => {
  const fd = openSync(path, flags);
  opened.push(fd);
  return fd;
};

const lines = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `line ${index} ${"x".repeat(index % 300)}\n`);

test("writes lines in their order", async () => {
  const path = join(directory, "log");
  const log = lineWriter(open(path, constants.O_CREAT | constants.O_WRONLY));
  const expected = lines(2000);
  for (const line of expected) log.write(line);
  await until(() => readFileSync(path, "utf8").length === expected.join("").length);
  expect(readFileSync(path, "utf8")).toBe(expected.join(""));
});

test("goes on where a reader was slow, and loses what is too much to keep", async () => {
  const path = join(directory, "pipe");
  execFileSync("mkfifo", [path]);
  // Both ends at once, so that nobody waits for the other; a full or empty pipe is an error then.
  const fd = open(path, constants.O_RDWR | constants.O_NONBLOCK);
  const log = lineWriter(fd, 300_000);
  const kept = lines(1000);
  for (const line of kept) log.write(line);
  const filler = `${"y".repeat(1023)}\n`;
  for (let kilobytes = 0; kilobytes < 1024; kilobytes++) log.write(filler);
  const buffer = Buffer.alloc(1 << 20);
  let read = "";
  await until(() => {
    try {
      read += buffer.toString("utf8", 0, readSync(fd, buffer));
    } catch {
      // Empty at the moment.
    }
    return read.length > 298_000;
  });
  expect(read.startsWith(kept.join(""))).toBe(true);
  // Beside what was kept one write was under way.
  expect(read.length).toBeLessThan(305_000);
});

test("lines that cannot be written harm neither the process nor its end", async () => {
  const script = `
    import { lineWriter } from ${JSON.stringify(new URL("line-writer.ts", import.meta.url).href)};
    const log = lineWriter(2);
    log.write("first\\n");
    setTimeout(() => {
      for (const line of ["a", "b", "c"]) log.write(line + "\\n");
      console.log("alive");
      process.exit(3);
    }, 50);`;
  const ended = await new Promise<object>((resolve) => {
    const args = ["-c", 'exec "$@" 2>/dev/full', "sh", process.execPath, "--input-type=module", "-e", script];
    const child = execFile("sh", args, { timeout: 10_000 }, (_error, stdout) =>
      resolve({ code: child.exitCode, stdout }),
    );
  });
  expect(ended).toEqual({ code: 3, stdout: "alive\n" });
});

test("what waits is written at the end of the process", async () => {
  const script = `
    import { lineWriter } from ${JSON.stringify(new URL("line-writer.ts", import.meta.url).href)};
    const log = lineWriter(2);
    for (let line = 0; line < 1000; line++) log.write(line + "\\n");
    process.exit();`;
  const stderr = await new Promise<string>((resolve) => {
    execFile(process.execPath, ["--input-type=module", "-e", script], (_error, _stdout, said) =>
      resolve(said),
    );
  });
  // The first was under way already.
  const after = stderr.split("\n").filter((line) => line !== "0" && line !== "");
  expect(after).toEqual(Array.from({ length: 999 }, (_, line) => String(line + 1)));
});
