/** The TOML file: finding it, reading it, and walking it down to options and to what is wrong. */
import { lstatSync, readFileSync } from "node:fs";
import { relative } from "node:path";
import { parse, TomlError } from "smol-toml";
import { Failure } from "../failure.ts";
import { type KeyPath, keyLines } from "./key-lines.ts";
import { type Key, keys, type Option, options } from "./options.ts";
import { isList } from "./types.ts";
import { type Given, notAllowed, shown, unknownKey } from "./wrong.ts";

/** The file that is read when no other is named, if it is there. */
export const DEFAULT_FILE = "chatrandom.toml";

export interface ConfigFile {
  /** As messages name it. */
  readonly name: string;
  readonly text: string;
}

/** A named file must be there; the default one may be missing. Throws a `Failure`. */
export function readConfigFile(named: string | undefined): ConfigFile | undefined {
  const path = named ?? DEFAULT_FILE;
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(path));
    const fromHere = relative("", path);
    return { name: fromHere.startsWith("..") ? path : fromHere, text };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    const dangles =
      code === "ENOENT" && lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
    if (code === "ENOENT" && named === undefined && !dangles) return undefined;
    const reason = dangles ? "is a link to what does not exist" : REASONS[code];
    throw new Failure(`the config file ${shown(path)} ${reason ?? (error as Error).message}`, 2);
  }
}

const REASONS: Record<string, string> = {
  ENOENT: "does not exist",
  ENOTDIR: "does not exist",
  EACCES: "cannot be read: permission denied",
  EISDIR: "is a directory",
  ERR_ENCODING_INVALID_ENCODED_DATA: "is not UTF-8 text",
};

/** Yields what the file says, each with its place, such as `chatrandom.toml:3`. */
export function* entriesOf(file: ConfigFile): Generator<Given & { place: string }> {
  let root: Record<string, unknown>;
  try {
    root = parse(file.text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const said = error.message.replace("Invalid TOML document: ", "").split("\n", 1)[0]!;
    const reason = said.startsWith("trying to redefine")
      ? `${keyAt(file.text, error)} is there already`
      : said;
    // The usual slip: host = localhost, drain_timeout = 5s.
    const hint = /^(invalid value|illegal character in numeric)/.test(reason)
      ? ". All but numbers, true, false and lists needs quotes"
      : "";
    yield {
      place: `${file.name}:${error.line}:${error.column}`,
      problem: `not valid TOML: ${reason}${hint}`,
    };
    return;
  }
  const lineOf = keyLines(file.text);
  const at = (path: KeyPath) => ({ place: `${file.name}:${lineOf(path) ?? "?"}` });

  function* walk(
    table: Record<string, unknown>,
    base: readonly string[],
  ): Generator<Given & { place: string }> {
    for (const [name, value] of Object.entries(table)) {
      const path = [...base, name];
      const key = path.join(".");
      if (isKey(key)) yield read(key, value, path);
      else if (isTable(value) && (isSection(key) || Object.keys(value).length > 0)) yield* walk(value, path);
      else if (isSection(key)) {
        yield { ...at(path), problem: `${key} is ${shown(value)}, but must be a table: [${key}]` };
      } else yield { ...at(path), problem: unknownKey(key) };
    }
  }

  function read(key: Key, value: unknown, path: KeyPath): Given & { place: string } {
    const { type }: Option = options[key];
    const valid = type.read(value);
    if (valid !== undefined) return { ...at(path), key, value: valid };
    const bad =
      isList(type) && Array.isArray(value) ? value.findIndex((e) => type.element.read(e) === undefined) : -1;
    if (!isList(type) || bad === -1) return { ...at(path), ...notAllowed(key, value, type) };
    const element = (value as unknown[])[bad];
    return { ...at([...path, bad]), ...notAllowed(key, element, type.element, `${key}[${bad}]`) };
  }

  yield* walk(root, []);
}

/** The key that stands at a place, as it is spelled there. */
function keyAt(text: string, { line, column }: TomlError): string {
  const rest = text.split("\n")[line - 1]!.slice(column - 1);
  return /^("[^"]*"|'[^']*'|[^\s=\]"'])+/.exec(rest)?.[0].slice(0, 80) ?? "this";
}

const isKey = (key: string): key is Key => Object.hasOwn(options, key);
const isSection = (name: string): boolean => keys.some((key) => key.startsWith(`${name}.`));
const isTable = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
