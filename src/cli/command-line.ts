/** The command line: finds the command, and turns every failure into one clear line and an exit code. */
import { inspect } from "node:util";
import yargs, { type Argv, type CommandModule } from "yargs";
import { closest } from "../config/closest.ts";
import { Failure } from "../failure.ts";
import { VERSION } from "../version.ts";
import type { Caller } from "./caller.ts";
import { completion } from "./completion.ts";
import { config } from "./config.ts";
import { doctor } from "./doctor.ts";
import { refuseFlags } from "./flags.ts";
import { join } from "./join.ts";
import { reports } from "./reports.ts";
import { serve } from "./serve.ts";
import { status } from "./status.ts";
import { version } from "./version.ts";
import { worker } from "./worker.ts";
import { WrongUse } from "./wrong-use.ts";

/** Returns the exit code: 0 fine, 1 failed while running, 2 wrong use or configuration. */
export async function runCommandLine(args: readonly string[], caller: Caller): Promise<number> {
  let code = 0;
  const commands = [
    serve(caller, (ended) => (code = ended)),
    join(caller, (ended) => (code = ended)),
    status(caller),
    reports(caller),
    doctor(caller, (ended) => (code = ended)),
    config(caller),
    version(caller),
    completion(caller),
  ];
  const names = commands.map(({ command }) => String(command).split(" ", 1)[0]!);
  const hidden = [worker((ended) => (code = ended))];
  try {
    const [first, ...others] = args;
    // yargs knows the word only when it stands alone.
    const asked = first === "help" ? [...others, "--help"] : [...args];
    const of = first === "help" ? others[0] : undefined;
    if (of !== undefined && !of.startsWith("-") && !names.includes(of)) throw unknownCommand(of, names);
    await parser([...commands, ...hidden], names).parseAsync(asked, {}, (_error, _argv, output) => {
      if (output !== "") caller.out(`${output}\n`);
    });
    return code;
  } catch (error) {
    const level = logLevel(args) ?? caller.env.CHATRANDOM_LOG_LEVEL;
    const command = args.find((word) => names.includes(word));
    caller.err(explain(error, command, level === "debug" || level === "trace"));
    return error instanceof Failure ? error.exitCode : 1;
  }
}

function parser(commands: readonly CommandModule[], names: readonly string[]): Argv {
  // The types of yargs do not know these.
  const cli = yargs() as Argv & {
    usageConfiguration(settings: { "hide-types": boolean }): Argv;
    getInternalMethods(): { getUsageInstance(): { cacheHelpMessage(): void } };
  };
  cli.usageConfiguration({ "hide-types": true });
  // It lays out the help of whatever command runs, in case somebody asks later: a sixth of the start of `serve`.
  cli.getInternalMethods().getUsageInstance().cacheHelpMessage = () => {};
  return cli
    .scriptName("chatrandom")
    .usage("$0 <command> [options]")
    .parserConfiguration({
      // A flag is what it is called, once: nothing is guessed, split or turned into a number.
      "boolean-negation": false,
      "camel-case-expansion": false,
      "dot-notation": false,
      "parse-numbers": false,
      "parse-positional-numbers": false,
      "short-option-groups": false,
    })
    .command(commands as never)
    .command("$0", false, {}, (argv) => {
      const given = argv._[0];
      if (given !== undefined) throw unknownCommand(String(given), names);
      refuseFlags(argv, "");
      cli.showHelp("log");
    })
    .example("$0 serve", "Serve on port 8080, then open http://localhost:8080")
    .epilogue("chatrandom COMMAND --help tells the options of a command.")
    .help()
    .alias("help", "h")
    .version(VERSION)
    .locale("en")
    .wrap(Math.min(110, process.stdout.columns ?? 100))
    .exitProcess(false)
    .fail((message, error) => {
      if (error !== undefined && error.name !== "YError") throw error;
      throw new WrongUse(message.replace(/^Not enough arguments following: (.*)$/, "--$1 needs a value"));
    });
}

function unknownCommand(given: string, names: readonly string[]): WrongUse {
  const meant = closest(given, names);
  return new WrongUse(
    `unknown command ${JSON.stringify(given)}${meant === undefined ? "" : `. Did you mean ${meant}?`}`,
  );
}

/** One clear line, what to do next, and the stack only for those who look for a fault. */
function explain(error: unknown, command: string | undefined, debugging: boolean): string {
  const lines = [`chatrandom: ${error instanceof Error ? error.message : String(error)}`];
  if (error instanceof WrongUse)
    lines.push(`See: chatrandom ${command === undefined ? "" : `${command} `}--help`);
  else if (!(error instanceof Failure))
    lines.push("This is a fault in ChatRandom; --log-level debug tells more.");
  if (debugging) lines.push(inspect(error));
  return `${lines.join("\n")}\n`;
}

/** As the flags have it: a failure may come before there is a configuration. */
const logLevel = (args: readonly string[]): string | undefined =>
  /(?:^|\n)--log-level[=\n]([a-z]+)/.exec(args.join("\n"))?.[1];
