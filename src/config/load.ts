/**
 * Where each option's value comes from: flag beats variable beats file beats default. Everything that is wrong is
 * found at once and told with its place and with what is allowed; a secret is never part of it.
 */
import { Failure } from "../failure.ts";
import { contradictions } from "./contradictions.ts";
import { entriesOf, readConfigFile } from "./file.ts";
import {
  type Config,
  defaultOf,
  type Env,
  flagOf,
  type Key,
  keys,
  type Option,
  options,
  variableOf,
} from "./options.ts";
import { isList, splitList } from "./types.ts";
import { type Given, notAllowed, summary, unknown } from "./wrong.ts";

/** Variables with our prefix that are no options: the file's place, and what builds and tests understand. */
const OTHER_VARIABLES = /^CHATRANDOM_(CONFIG|REDIS_SERVER|TURN_SERVER|MODEL_RUNS|(BUILD|TEST)_.*)$/;

export interface Sources {
  /** By the flag's name without dashes, every time it was given. `config` names the file. */
  readonly flags?: Readonly<Record<string, readonly string[]>>;
  readonly env?: Env;
  /** Whether files are read at all; without, only flags and variables count. */
  readonly files?: boolean;
}

/** What decided each option, in words: `--port`, `CHATRANDOM_PORT`, `chatrandom.toml:3` or `default`. */
export type Origins = Readonly<Record<Key, string>>;

export interface Loaded {
  readonly config: Config;
  readonly origins: Origins;
  /** The file that was read. */
  readonly file?: string;
  /** What is odd but harmless, one line each. */
  readonly warnings: readonly string[];
}

const DEFAULT = "default";

/** Throws a `Failure` (exit 2) that lists everything that is wrong, one line each. */
export function loadConfig({ flags = {}, env = {}, files = false }: Sources = {}): Loaded {
  const problems: string[] = [];
  const values = new Map<Key, unknown>(keys.map((key) => [key, defaultOf(key, env)]));
  const origins = Object.fromEntries(keys.map((key) => [key, DEFAULT])) as Record<Key, string>;
  const take = (place: string, given: Given): void => {
    if ("problem" in given) problems.push(`${place}: ${given.problem}`);
    else {
      values.set(given.key, given.value);
      origins[given.key] = place;
    }
  };

  const file = files ? readConfigFile(flags.config?.at(-1) ?? env.CHATRANDOM_CONFIG) : undefined;
  if (file !== undefined) for (const { place, ...given } of entriesOf(file)) take(place, given);
  for (const key of keys) {
    const text = env[variableOf(key)];
    if (text !== undefined) take(variableOf(key), fromTexts(key, [text]));
  }
  for (const key of keys) {
    const texts = flags[flagOf(key)];
    if (texts !== undefined && texts.length > 0) take(`--${flagOf(key)}`, fromTexts(key, texts));
  }

  const config = tree(values);
  // Defaults stand in for what was wrong, so contradictions with them would only confuse.
  if (problems.length === 0) {
    for (const { key, problem } of contradictions(config, (key) => origins[key] !== DEFAULT))
      problems.push(`${origins[key]}: ${key} ${problem}`);
  }
  if (problems.length > 0) throw new Failure(summary(problems), 2);
  return {
    config,
    origins,
    file: file?.name,
    warnings: [...unknownVariables(env), ...unused(config, origins)],
  };
}

/** Of a flag given several times all elements count when it is a list, else the last: a script's can be overruled. */
function fromTexts(key: Key, texts: readonly string[]): Given {
  const { type }: Option = options[key];
  if (!isList(type)) {
    const text = texts.at(-1)!;
    const value = type.parse(text);
    return value === undefined ? notAllowed(key, text, type) : { key, value };
  }
  const elements = texts.flatMap(splitList);
  const bad = elements.findIndex((element) => type.element.parse(element) === undefined);
  if (bad !== -1) return notAllowed(key, elements[bad], type.element, `${key}[${bad}]`);
  const value = type.parse(elements.join(","));
  return value === undefined ? notAllowed(key, texts.join(","), type) : { key, value };
}

function unknownVariables(env: Env): string[] {
  const known = keys.map(variableOf);
  return Object.keys(env)
    .filter((name) => name.startsWith("CHATRANDOM_") && !known.includes(name) && !OTHER_VARIABLES.test(name))
    .map((name) => unknown("variable", name, known));
}

function unused({ tls, https }: Config, origins: Origins): string[] {
  if (https.certificate === "" || tls === "auto" || tls === "files") return [];
  return [`${origins["https.certificate"]}: https.certificate is not used, because tls is "${tls}"`];
}

/** `session.grace` becomes `{ session: { grace } }`, frozen at every level. */
function tree(values: ReadonlyMap<Key, unknown>): Config {
  const root: Record<string, unknown> = {};
  const tables = [root];
  for (const [key, value] of values) {
    const names = key.split(".");
    const last = names.pop()!;
    let table = root;
    for (const name of names) {
      if (!Object.hasOwn(table, name)) tables.push((table[name] = {}) as Record<string, unknown>);
      table = table[name] as Record<string, unknown>;
    }
    table[last] = Array.isArray(value) ? Object.freeze([...value]) : value;
  }
  for (const table of tables) Object.freeze(table);
  return root as unknown as Config;
}
