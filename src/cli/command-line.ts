/** The command line: finds the command, and turns every failure into one clear line and an exit code. */
import yargs, { type Argv } from "yargs";
import { closest } from "../config/closest.ts";
import { Failure } from "../failure.ts";
import { VERSION } from "../version.ts";
import { completion } from "./completion.ts";
import { config } from "./config.ts";
import { refuseFlags } from "./flags.ts";
import { serve } from "./serve.ts";
import { version } from "./version.ts";
import { WrongUse } from "./wrong-use.ts";

const COMMANDS = [serve, config, version, completion];
const names = COMMANDS.map(({ command }) => String(command).split(" ", 1)[0]!);

/** Returns the exit code: 0 fine, 1 failed while running, 2 wrong use or configuration. */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  try {
    // A reader that has seen enough (`| head`) is no failure.
    process.stdout.on("error", (error: NodeJS.ErrnoException) =>
      process.exit(error.code === "EPIPE" ? 0 : 1),
    );
    // A terminal that went away must not take the server with it.
    process.stderr.on("error", () => {});
    await parser(args).parseAsync();
    return 0;
  } catch (error) {
    process.stderr.write(explain(error, args));
    return error instanceof Failure ? error.exitCode : 1;
  }
}

function parser(args: readonly string[]) {
  // The types of yargs do not know this one yet.
  const cli = yargs([...args]) as Argv & { usageConfiguration(settings: { "hide-types": boolean }): Argv };
  cli.usageConfiguration({ "hide-types": true });
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
    .command(COMMANDS as never)
    .command("$0", false, {}, (argv) => {
      const given = argv._[0];
      if (given !== undefined) throw unknownCommand(String(given));
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

function unknownCommand(given: string): WrongUse {
  const meant = closest(given, names);
  return new WrongUse(
    `unknown command ${JSON.stringify(given)}${meant === undefined ? "" : `. Did you mean ${meant}?`}`,
  );
}

/** One clear line, the hint where to read on, and the stack only for those who look for a fault. */
function explain(error: unknown, args: readonly string[]): string {
  const message = error instanceof Error ? error.message : String(error);
  const command = names.includes(args[0] ?? "") ? `${args[0]} ` : "";
  const hint = error instanceof WrongUse ? `See: chatrandom ${command}--help\n` : "";
  const stack = /^(debug|trace)$/.test(logLevel(args)) && error instanceof Error ? `${error.stack}\n` : "";
  return `chatrandom: ${message}\n${hint}${stack}`;
}

/** As the flags or the variable have it: a failure may come before there is a configuration. */
const logLevel = (args: readonly string[]): string =>
  /(?:^|\n)--log-level[=\n]([a-z]+)/.exec(args.join("\n"))?.[1] ?? process.env.CHATRANDOM_LOG_LEVEL ?? "";
