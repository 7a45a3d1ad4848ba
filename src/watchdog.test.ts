import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";

/** A process with a watchdog that is patient for five looks, and what it does then. */
async function run(then: string, forPeople = true) {
  const source = `
    import { watchLoop } from ${JSON.stringify(new URL("watchdog.ts", import.meta.url).href)};
    const callOff = watchLoop({ beat: 20, patience: 5, forPeople: ${forPeople} });
    const turnFor = (ms) => { for (const end = Date.now() + ms; Date.now() < end; ); };
    ${then}`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", source]);
  onTestFinished(() => void child.kill("SIGKILL"));
  const said = text(child.stderr);
  const [code, signal] = (await once(child, "exit")) as [number | null, string | null];
  return { code, signal, said: await said };
}

test("a process whose loop hangs says so, as it logs, and is gone", async () => {
  const hangs = "setTimeout(() => { for (;;); }, 50);";
  const gone = { code: null, signal: "SIGKILL" };
  const msg = "this process hangs; it ends, so that whoever started it can start it again";
  expect(await run(hangs)).toEqual({ ...gone, said: `FATAL: ${msg}\n` });
  const { said, ...ended } = await run(hangs, false);
  expect(ended).toEqual(gone);
  expect(JSON.parse(said)).toEqual({ level: "fatal", time: expect.any(String), msg });
});

test("one whose loop turns, however slowly, goes on, and ends when it has nothing more to do", async () => {
  const slow = "for (let n = 0; n < 20; n += 1) setTimeout(() => turnFor(15), n * 20);";
  expect(await run(slow)).toEqual({ code: 0, signal: null, said: "" });
});

test("one that is watched no more may hang", async () => {
  expect(await run("callOff(); setTimeout(() => turnFor(400), 50);")).toMatchObject({ code: 0, said: "" });
});
