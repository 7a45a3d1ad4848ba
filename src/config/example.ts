/** The example file and the reference of the README, both written from the table of options. */
import { flagOf, type Key, keys, type Option, options, variableOf } from "./options.ts";

const WIDTH = 100;

/** A TOML file that says nothing and shows everything: each option commented out, with its default. */
export function exampleFile(): string {
  const blocks = [
    comment(
      "The options of ChatRandom, each with its default. Take the # away from a line to change it. A flag beats a " +
        "variable, a variable beats this file. `chatrandom config check` tells whether a file is right and " +
        "`chatrandom config show` what is in force.",
    ),
  ];
  let current = "";
  for (const key of keys) {
    const section = sectionOf(key);
    if (section !== current) blocks.push(`[${(current = section)}]`);
    blocks.push(describe(key));
  }
  return `${blocks.join("\n\n")}\n`;
}

function describe(key: Key): string {
  const { type, doc, secret, default: value, defaultDoc, example }: Option = options[key];
  const name = key.slice(key.lastIndexOf(".") + 1);
  const allowed = defaultDoc === undefined ? `Allowed: ${type.allowed}.` : `Default: ${defaultDoc}.`;
  const spellings = secret
    ? `${variableOf(key)}; a secret is no flag.`
    : `--${flagOf(key)}, ${variableOf(key)}`;
  return [
    comment(doc),
    comment(allowed),
    comment(spellings),
    `#${name} = ${type.toml(example ?? value)}`,
  ].join("\n");
}

const sectionOf = (key: Key): string => key.slice(0, Math.max(0, key.lastIndexOf(".")));

/** Lines of comment, broken between words. */
function comment(text: string): string {
  const lines: string[] = [];
  let line = "#";
  for (const word of text.split(" ")) {
    if (line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = "#";
    }
    line += ` ${word}`;
  }
  return [...lines, line].join("\n");
}

/** Markdown for the README. */
export function reference(): string {
  const rows = keys.map((key) => {
    const { type, doc, secret, default: value, defaultDoc }: Option = options[key];
    const shown = defaultDoc ?? `\`${type.toml(value)}\``;
    const meaning = `${doc} Allowed: ${type.allowed}.${secret ? " A secret: no flag." : ""}`;
    return `| \`${key}\` | ${shown} | ${meaning.replaceAll("|", "\\|")} |`;
  });
  return `${REFERENCE_HEAD}\n\n| option | default | meaning |\n| --- | --- | --- |\n${rows.join("\n")}`;
}

const REFERENCE_HEAD =
  "Every option has one name in three spellings: the key `session.grace` of the TOML file is the flag " +
  "`--session-grace` and the variable `CHATRANDOM_SESSION_GRACE`. A flag beats a variable, a variable beats the file, " +
  "the file beats the default. The file is the one that `--config` or `CHATRANDOM_CONFIG` names, else " +
  "`chatrandom.toml` in the working directory if it is there. A variable and a flag hold a list between commas.";
