/** The flags that come from the table of options, and what was given of them. */
import type { Argv } from "yargs";
import { DEFAULT_FILE } from "../config/file.ts";
import { flagOf, type Key, keys, type Option, options, variableOf } from "../config/options.ts";
import { closest } from "../config/closest.ts";
import { WrongUse } from "./wrong-use.ts";

const isSecret = (key: Key): boolean => (options[key] as Option).secret === true;
const keyOfFlag = new Map(keys.map((key) => [flagOf(key), key]));

/** Flags that every command knows. */
const COMMON = ["help", "h", "version"];

/**
 * Values stay texts here: the loader judges flags, variables and the file alike, in better words than yargs has.
 * `completing` lets shells complete the few words that an option allows.
 */
export function withOptions(yargs: Argv, completing: boolean, only: readonly Key[] = keys): Argv {
  yargs.option("config", {
    type: "string",
    requiresArg: true,
    group: "Options:",
    description: `The TOML file with options; without one, ./${DEFAULT_FILE} if it is there`,
  });
  for (const key of only) {
    if (isSecret(key)) continue;
    const { type, doc, defaultDoc, default: value }: Option = options[key];
    const shown = defaultDoc ?? type.format(value);
    yargs.option(flagOf(key), {
      type: "string",
      requiresArg: true,
      group: groupOf(key),
      description: `${firstSentence(doc)} <${type.placeholder}>${shown && ` [default: ${shown}]`}`,
      choices: completing ? type.choices : undefined,
    });
  }
  return yargs;
}

const groupOf = (key: Key): string => {
  const section = key.slice(0, Math.max(0, key.indexOf(".")));
  if (section === "") return "Options:";
  return `${ACRONYMS.includes(section) ? section.toUpperCase() : section[0]!.toUpperCase() + section.slice(1)}:`;
};

const ACRONYMS = ["http", "https", "acme", "ice", "turn"];

export const firstSentence = (doc: string): string => /^.*?(?=\.( |$)|: )/.exec(doc)?.[0] ?? doc;

/** What yargs found; `command` is the words that chose the command, such as `config show`. */
export type Found = Record<string, unknown> & { _: (string | number)[] };

/**
 * The flags of a command that takes all options, or `only` some, beside flags of its `own`, which are left out. Throws a
 * `WrongUse` when something else was given.
 */
export function givenFlags(
  argv: Found,
  command: string,
  only: readonly Key[] = keys,
  own: readonly string[] = [],
): Record<string, string[]> {
  refuseWords(argv, command);
  const flags: Record<string, string[]> = {};
  for (const name of flagNames(argv)) {
    if (own.includes(name)) continue;
    const key = keyOfFlag.get(name);
    const known = key === undefined ? name === "config" : only.includes(key) || isSecret(key);
    if (!known) throw unknownFlag(name, [...only.map(flagOf), "config", "help", ...own]);
    if (key !== undefined && isSecret(key)) {
      throw new WrongUse(
        `--${name} is a secret and no flag: every process of this machine could read it. ` +
          `Use ${variableOf(key)} or the config file`,
      );
    }
    flags[name] = [argv[name]].flat().map(String);
  }
  return flags;
}

/** For commands that take no options but `own`. Throws a `WrongUse`. */
export function refuseFlags(argv: Found, command: string, own: readonly string[] = []): void {
  refuseWords(argv, command);
  const other = flagNames(argv).find((name) => !own.includes(name));
  if (other !== undefined) throw unknownFlag(other, ["help", ...own]);
}

const flagNames = (argv: Found): string[] =>
  Object.keys(argv).filter((name) => !["_", "$0", ...COMMON].includes(name) && argv[name] !== undefined);

function refuseWords(argv: Found, command: string): void {
  const extra = argv._[command.split(" ").filter(Boolean).length];
  if (extra !== undefined) throw new WrongUse(`unexpected ${JSON.stringify(extra)} behind ${command}`);
}

function unknownFlag(name: string, known: readonly string[]): WrongUse {
  const meant = closest(name, known);
  const dashed = name.length === 1 ? `-${name}` : `--${name}`;
  return new WrongUse(`unknown option ${dashed}${meant === undefined ? "" : `. Did you mean --${meant}?`}`);
}
