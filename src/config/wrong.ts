/** The words for what is wrong with an option, the same wherever it was given. */
import { closest } from "./closest.ts";
import { type Key, keys, type Option, options } from "./options.ts";
import type { Type } from "./types.ts";

/** What a place (a file, a variable, a flag) says about an option. */
export type Given = { key: Key; value: unknown } | { problem: string };

/** `name` is the key, with the index behind it for an element of a list. */
export function notAllowed(key: Key, value: unknown, { allowed }: Type<unknown>, name: string = key): Given {
  const { secret, masked }: Option = options[key];
  return { problem: `${name} ${secret || masked ? "" : `is ${shown(value)}, but `}must be ${allowed}` };
}

/** A value as its writer wrote it, but short, and harmless on a terminal. */
export function shown(value: unknown): string {
  const text =
    value instanceof Date
      ? value.toISOString()
      : typeof value === "number" // JSON knows no NaN.
        ? String(value)
        : (JSON.stringify(value) ?? String(value));
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

/** Tells of an unknown name, and of the one that was probably meant. */
export function unknown(what: string, name: string, known: readonly string[]): string {
  const meant = closest(name, known);
  const hint = meant === undefined ? "" : `. Did you mean ${meant}?`;
  return `unknown ${what} ${plain(name)}${hint}`;
}

/** Without quotes where none are needed to read it right. */
const plain = (name: string): string => (/^[\w.-]{1,80}$/.test(name) ? name : shown(name));

/** Like `unknown`, for keys of the file, where the usual slip is a right name below a wrong `[section]`. */
export function unknownKey(name: string): string {
  const [section, last] = split(name);
  // Added at the end of the file, most likely.
  const misplaced = keys.find((key) => key === last && keys.some((other) => other.startsWith(`${section}.`)));
  const alike = keys.filter((key) => split(key)[1] === last);
  const meant = misplaced ?? (alike.length === 1 ? alike[0]! : undefined);
  if (meant === undefined) return unknown("key", name, keys);
  const [right] = split(meant);
  const place = right === "" ? "above the first [section] of the file" : `in the section [${right}]`;
  return `unknown key ${plain(name)}. Did you mean ${meant}? It belongs ${place}`;
}

/** Into the section, which may be "", and the rest. */
function split(key: string): [section: string, last: string] {
  const at = key.lastIndexOf(".");
  return [key.slice(0, Math.max(at, 0)), key.slice(at + 1)];
}

const MOST_SHOWN = 20;

/** One problem stays one line; several are all listed. */
export function summary(problems: readonly string[]): string {
  if (problems.length === 1) return problems[0]!;
  const lines = problems.slice(0, MOST_SHOWN).map((problem) => `  ${problem}`);
  if (problems.length > MOST_SHOWN) lines.push(`  and ${problems.length - MOST_SHOWN} more`);
  return `${problems.length} things are wrong in the configuration\n${lines.join("\n")}`;
}
