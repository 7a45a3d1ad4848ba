/** `chatrandom config show | check | example`. */
import type { CommandModule } from "yargs";
import { exampleFile } from "../config/example.ts";
import { type Loaded, loadConfig } from "../config/load.ts";
import { type Key, keys, type Option, options } from "../config/options.ts";
import { withoutPassword } from "../redis/address.ts";
import type { Caller } from "./caller.ts";
import { type Found, givenFlags, refuseFlags, withOptions } from "./flags.ts";
import { WrongUse } from "./wrong-use.ts";

export function config({ env, out, err, completing }: Caller): CommandModule {
  const load = (argv: Found, command: string): Loaded =>
    loadConfig({ flags: givenFlags(argv, command), env, files: true });

  const show: CommandModule = {
    command: "show",
    describe: "Show every option that is in force and where it comes from",
    builder: (yargs) => withOptions(yargs, completing),
    handler: (argv) => out(`${shownConfig(load(argv, "config show"))}\n`),
  };

  const check: CommandModule = {
    command: "check",
    describe: "Tell whether file, variables and flags are right; exit 2 if not",
    builder: (yargs) => withOptions(yargs, completing),
    handler: (argv) => {
      const { file, warnings } = load(argv, "config check");
      for (const warning of warnings) err(`chatrandom: ${warning}\n`);
      out(file === undefined ? "No config file; all else is fine.\n" : `${file} is fine.\n`);
    },
  };

  const example: CommandModule = {
    command: "example",
    describe: "Print a config file with every option explained",
    handler: (argv) => {
      refuseFlags(argv, "config example");
      out(exampleFile());
    },
  };

  return {
    command: "config",
    describe: "Show, check or explain the configuration",
    builder: (yargs) =>
      yargs
        .command([show, check, example] as never)
        .example("$0 config example > chatrandom.toml", "Start a config file")
        .example("$0 config check --config FILE", "Check it"),
    handler: ({ _: [, given] }) => {
      const instead = given === undefined ? "" : `, not ${JSON.stringify(given)}`;
      throw new WrongUse(`config needs show, check or example${instead}`);
    },
  };
}

/** Dotted TOML, so that it can be searched by line and used as a file again; secrets are masked. */
export function shownConfig({ config, origins }: Loaded): string {
  const lines = keys.map((key) => {
    const { type, secret, masked }: Option = options[key];
    const value = valueAt(config, key);
    const shown = type.toml(value);
    const literal = secret && value !== "" ? '"***"' : masked ? withoutPassword(shown) : shown;
    return [`${key} = ${literal}`, origins[key]] as const;
  });
  const width = Math.min(50, Math.max(...lines.map(([line]) => line.length)));
  return lines.map(([line, origin]) => `${line.padEnd(width)}  # ${origin}`).join("\n");
}

export const valueAt = (config: unknown, key: Key): unknown =>
  key.split(".").reduce((table, name) => (table as Record<string, unknown>)[name], config);
