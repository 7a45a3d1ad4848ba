import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { loadConfig } from "../config/load.ts";
import { VERSION } from "../version.ts";
import { runCommandLine } from "./command-line.ts";
import { shownConfig } from "./config.ts";
import { firstSentence } from "./flags.ts";

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));
const workingDirectory = process.cwd();
let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "chatrandom-cli-"));
  process.chdir(directory);
});
afterAll(() => {
  process.chdir(workingDirectory);
  rmSync(directory, { recursive: true });
});
afterEach(() => void vi.unstubAllEnvs());

/** The command line as a shell sees it, in an empty directory and environment. */
async function chatrandom(args: readonly string[], env: Record<string, string> = {}) {
  const ended = { code: 0, stdout: "", stderr: "" };
  ended.code = await runCommandLine(args, {
    env: { HOME: directory, ...env },
    out: (text) => void (ended.stdout += text),
    err: (text) => void (ended.stderr += text),
    completing: args[0] === "--get-yargs-completions",
  });
  return ended;
}

/** The output of a script of bash in which `chatrandom` is the real thing in a process of its own. */
const bash = (script: string, env: Record<string, string> = {}): Promise<string> =>
  new Promise((resolve) => {
    const commands = `chatrandom() { "${process.execPath}" "${MAIN}" "$@"; }\n${script}`;
    const options = { env: { ...process.env, ...env } };
    execFile("bash", ["-c", commands], options, (_, stdout, stderr) => resolve(stdout + stderr));
  });

describe("wrong use exits 2 with one line and a hint", () => {
  test.each([
    [["srve"], 'unknown command "srve". Did you mean serve?', "See: chatrandom --help"],
    [["help", "srve"], 'unknown command "srve". Did you mean serve?', "See: chatrandom --help"],
    [["help", "nothing-like-it"], 'unknown command "nothing-like-it"', "See: chatrandom --help"],
    [["--foo"], "unknown option --foo", "See: chatrandom --help"],
    [["serve", "--prot", "1"], "unknown option --prot. Did you mean --port?", "See: chatrandom serve --help"],
    [["serve", "--no-port"], "unknown option --no-port", "See: chatrandom serve --help"],
    [["serve", "-p", "1"], "unknown option -p", "See: chatrandom serve --help"],
    [["serve", "here"], 'unexpected "here" behind serve', "See: chatrandom serve --help"],
    [["serve", "--port"], "--port needs a value", "See: chatrandom serve --help"],
    [["config"], "config needs show, check or example", "See: chatrandom config --help"],
    [["config", "shw"], 'config needs show, check or example, not "shw"', "See: chatrandom config --help"],
    [["config", "example", "--port", "1"], "unknown option --port", "See: chatrandom config --help"],
    [["version", "now"], 'unexpected "now" behind version', "See: chatrandom version --help"],
    [
      ["completion", "tcsh"],
      'no completion for "tcsh": bash, zsh and fish have one',
      "See: chatrandom completion --help",
    ],
  ])("chatrandom %j", async (args, line, hint) => {
    expect(await chatrandom(args)).toEqual({ code: 2, stdout: "", stderr: `chatrandom: ${line}\n${hint}\n` });
  });

  test("a secret is no flag, and is not repeated", async () => {
    const { code, stderr } = await chatrandom(["serve", "--ice-credential", "hush"]);
    expect(code).toBe(2);
    expect(stderr).toContain("CHATRANDOM_ICE_CREDENTIAL");
    expect(stderr).not.toContain("hush");
  });
});

test("no command shows the help, which names serve", async () => {
  const { code, stdout, stderr } = await chatrandom([]);
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toMatch(/chatrandom serve +Serve the page/);
  expect(stdout).toContain("http://localhost:8080");
});

test("serve --help shows every flag with its default, and no secret", async () => {
  vi.stubEnv("LANG", "de_DE.UTF-8");
  const { code, stdout } = await chatrandom(["serve", "--help"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/--port +The port to listen on <port> \[default: 8080\]/);
  expect(stdout).toContain("--matching-block-for");
  expect(stdout).toContain("Examples:");
  expect(stdout).not.toContain("ice-credential");
});

test.each([
  [["help"], []],
  [
    ["help", "status"],
    ["status", "--help"],
  ],
  [
    ["help", "config", "show"],
    ["config", "show", "--help"],
  ],
])("%j is the help of the command %j", async (asked, same) => {
  const { code, stdout } = await chatrandom(asked);
  expect(code).toBe(0);
  expect(stdout).toBe((await chatrandom(same)).stdout);
});

test("version", async () => {
  expect((await chatrandom(["version"])).stdout).toBe(
    `chatrandom ${VERSION} (${process.platform} ${process.arch}, Node.js ${process.versions.node})\n`,
  );
  expect((await chatrandom(["--version"])).stdout).toBe(`${VERSION}\n`);
});

describe("config", () => {
  test("a wrong one exits 2 and lists everything, without a stack trace", async () => {
    const path = join(directory, "wrong.toml");
    writeFileSync(path, "port = 0.5\nprot = 1\n");
    for (const command of [["serve"], ["config", "check"], ["config", "show"]]) {
      expect(await chatrandom([...command, "--config", "wrong.toml"])).toEqual({
        code: 2,
        stdout: "",
        stderr:
          "chatrandom: 2 things are wrong in the configuration\n" +
          "  wrong.toml:1: port is 0.5, but must be a whole number from 0 to 65535\n" +
          "  wrong.toml:2: unknown key prot. Did you mean port?\n",
      });
    }
  });

  test("the stack trace is there for those who look for a fault", async () => {
    const { stderr } = await chatrandom(["config", "check", "--port=x", "--log-level=debug"]);
    expect(stderr).toMatch(/\n +at /);
  });

  test("check says what is fine, and what is only odd", async () => {
    const path = join(directory, "fine.toml");
    writeFileSync(path, "port = 1\n");
    expect(await chatrandom(["config", "check", "--config", path], { CHATRANDOM_PROT: "1" })).toEqual({
      code: 0,
      stdout: "fine.toml is fine.\n",
      stderr: "chatrandom: unknown variable CHATRANDOM_PROT. Did you mean CHATRANDOM_PORT?\n",
    });
    expect((await chatrandom(["config", "check"])).stdout).toContain("No config file");
  });

  test("chatrandom.toml in the working directory counts when no other is named", async () => {
    const path = join(directory, "chatrandom.toml");
    writeFileSync(path, "port = 7777\n");
    const { stdout } = await chatrandom(["config", "show"]);
    rmSync(path);
    expect(stdout).toMatch(/^port = 7777 +# chatrandom\.toml:1$/m);
  });

  test("chatrandom.toml that is a link to nothing is not taken for none", async () => {
    const path = join(directory, "chatrandom.toml");
    symlinkSync(join(directory, "gone.toml"), path);
    const { code, stderr } = await chatrandom(["config", "check"]);
    rmSync(path);
    expect([code, stderr]).toEqual([2, expect.stringContaining("is a link to what does not exist")]);
  });

  test("example is a file that check accepts", async () => {
    const { stdout } = await chatrandom(["config", "example"]);
    writeFileSync(join(directory, "example.toml"), stdout);
    expect((await chatrandom(["config", "check", "--config", "example.toml"])).code).toBe(0);
  });

  test("show tells where each value comes from, masks secrets, and is TOML itself", () => {
    const flags = { port: ["9000"] };
    const shown = shownConfig(
      loadConfig({ flags, env: { CHATRANDOM_ICE_CREDENTIAL: "hush", HOME: "/home/anna" } }),
    );
    expect(shown).toMatch(/^port = 9000 +# --port$/m);
    expect(shown).toMatch(/^ice\.credential = "\*\*\*" +# CHATRANDOM_ICE_CREDENTIAL$/m);
    expect(shown).toMatch(/^session\.grace = "20s" +# default$/m);
    expect(shown).not.toContain("hush");
  });

  test("show and an error keep the password of a Redis address to themselves", () => {
    const shown = shownConfig(loadConfig({ flags: { redis: ["redis://anna:hush@10.0.0.1:6379/1"] } }));
    expect(shown).toMatch(/^redis = "redis:\/\/\*\*\*@10\.0\.0\.1:6379\/1" +# --redis$/m);
    expect(() => loadConfig({ flags: { redis: ["http://anna:hush@10.0.0.1"] } })).toThrow(
      /^(?!.*hush).*redis must be an address/s,
    );
  });
});

describe("completion", () => {
  const words = async (...typed: string[]) => {
    vi.stubEnv("SHELL", "/bin/bash");
    const { stdout } = await chatrandom(["--get-yargs-completions", "chatrandom", ...typed]);
    return stdout.trim().split("\n");
  };

  test("knows commands, flags and their values", async () => {
    expect(await words("")).toEqual([
      "serve",
      "join",
      "status",
      "reports",
      "doctor",
      "config",
      "version",
      "completion",
    ]);
    expect(await words("config", "")).toEqual(["show", "check", "example"]);
    expect(await words("completion", "")).toEqual(expect.arrayContaining(["bash", "zsh", "fish"]));
    expect(await words("serve", "--po")).toContain("--port");
    expect(await words("serve", "--log-level", "")).toEqual(expect.arrayContaining(["debug", "info"]));
  });

  test("works in bash, even when the login shell is another", async () => {
    const script = `eval "$(chatrandom completion bash)"
      COMP_WORDS=(chatrandom serve --drain); COMP_CWORD=2; _chatrandom chatrandom; echo "\${COMPREPLY[*]}"`;
    expect(await bash(script, { SHELL: "/bin/zsh" })).toBe("--drain-timeout\n");
  });

  test.each(["./chatrandom", "~/chatrandom"])("asks the program that is typed: %s", async (typed) => {
    const file = join(directory, "chatrandom");
    writeFileSync(file, `#!/bin/sh\nexec "${process.execPath}" "${MAIN}" "$@"\n`, { mode: 0o755 });
    const script = `eval "$(chatrandom completion bash)"; unset -f chatrandom
      COMP_WORDS=('${typed}' stat); COMP_CWORD=1; _chatrandom '${typed}'; echo "\${COMPREPLY[*]}"`;
    expect(await bash(script, { HOME: directory })).toBe("status\n");
  });

  test("has a script for each shell, the one of SHELL by itself", async () => {
    expect((await chatrandom(["completion", "zsh"])).stdout).toMatch(/^#compdef chatrandom/);
    expect((await chatrandom(["completion"], { SHELL: "/usr/bin/fish" })).stdout).toMatch(
      /^complete -c chatrandom/m,
    );
  });
});

test("the executable's exit code is that of the command line, and a reader that has seen enough is no failure", async () => {
  const script = `chatrandom srve 2>/dev/null; echo $?; chatrandom config example | head -n 1; echo "\${PIPESTATUS[0]}"`;
  expect((await bash(script)).split("\n")).toEqual(["2", expect.stringMatching(/^# /), "0", ""]);
});

test("what cannot be written is said", async () => {
  expect(await bash("chatrandom config example > /dev/full; echo $?")).toBe(
    "1\nchatrandom: cannot write the output (ENOSPC)\n",
  );
});

test.each([
  ["What it is. More about it.", "What it is"],
  ["Servers in ice.urls. More.", "Servers in ice.urls"],
  ["No stop", "No stop"],
])("%j begins with %j", (doc, first) => expect(firstSentence(doc)).toBe(first));
