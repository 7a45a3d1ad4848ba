/** `chatrandom doctor`: looks at everything that keeps visitors out or calls from connecting, and says what to change. */
import type { CommandModule } from "yargs";
import { loadConfig } from "../config/load.ts";
import type { Finding, Level } from "../doctor/finding.ts";
import type { Caller } from "./caller.ts";
import { type Found, givenFlags, withOptions } from "./flags.ts";
import { harmless, table } from "./table.ts";
import { WrongUse } from "./wrong-use.ts";

/** `ended` is told the exit code. */
export const doctor = ({ env, out, completing }: Caller, ended: (code: 0 | 1) => void): CommandModule => ({
  command: "doctor [url]",
  describe: "Check ports, HTTPS, proxy, relay, Redis and machine, and say what to change",
  builder: (yargs) =>
    withOptions(
      yargs.positional("url", {
        type: "string",
        description: "Where visitors open the page; without it, as the options say",
      }),
      completing,
    )
      .option("json", { type: "boolean", group: "Options:", description: "Print JSON, for programs" })
      .example("$0 doctor", "Beside chatrandom serve, or before it is started")
      .example("$0 doctor https://chat.example.org", "As visitors see it, from anywhere")
      .epilogue(
        "Give it the options that the server is started with. Exit 0: nothing is wrong; 1: something is.",
      ),
  handler: async (argv) => {
    const { url: given, ...rest } = argv;
    const flags = givenFlags(rest as Found, "doctor", undefined, ["json"]);
    const url = given === undefined ? undefined : readUrl(String(given));
    const loaded = loadConfig({ flags, env, files: true });
    // Loaded here, so that other commands start without its weight.
    const { examine } = await import("../doctor.ts");
    const findings = await examine(loaded, url);
    const ok = findings.every(({ level }) => level !== "wrong");
    out(argv.json ? `${harmless(JSON.stringify({ ok, findings }, null, 2))}\n` : shownFindings(findings));
    ended(ok ? 0 : 1);
  },
});

function readUrl(text: string): URL {
  const url = URL.parse(/^[a-z]+:\/\//i.test(text) ? text : `https://${text}`);
  if (!url || !/^https?:$/.test(url.protocol) || url.hostname === "" || url.username || url.password)
    throw new WrongUse(`the address must be like https://chat.example.org, not ${JSON.stringify(text)}`);
  return new URL(url.origin);
}

const WORDS: Record<Level, string> = {
  fine: "fine",
  warning: "warning",
  wrong: "WRONG",
  skipped: "not seen",
};

/** For people: what was found, then what to change. */
export function shownFindings(findings: readonly Finding[]): string {
  const found = table(
    ["check", "result", "found"],
    findings.map(({ check, level, text }) => [check, WORDS[level], text]),
  );
  const advised = findings.filter(({ advice }) => advice !== undefined);
  // What keeps visitors out comes first.
  const ordered = [...advised].sort((a, b) => Number(b.level === "wrong") - Number(a.level === "wrong"));
  const change = ordered.map(
    ({ check, level, text, advice }) =>
      `${WORDS[level]} ${check}: ${harmless(text)}\n  ${harmless(advice!)}\n`,
  );
  const count = (level: Level): number => findings.filter((each) => each.level === level).length;
  const words = [
    `${count("fine")} fine`,
    `${count("warning")} ${count("warning") === 1 ? "warning" : "warnings"}`,
    `${count("wrong")} wrong`,
    ...(count("skipped") > 0 ? [`${count("skipped")} not seen`] : []),
  ];
  const what = change.length > 0 ? ["What to change:\n", ...change] : [];
  return `${[found, ...what].join("\n")}\n${words.join(", ")}\n`;
}
