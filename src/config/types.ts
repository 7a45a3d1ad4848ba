/**
 * The kinds of values that options have. Each knows its three spellings: the text of a flag or variable, the TOML
 * value, and the JavaScript value in `Config`.
 */
import { isIP } from "node:net";
import { resolve } from "node:path";
import { domainToASCII } from "node:url";
import { parseRedisAddress, REDIS_ADDRESS } from "../redis/address.ts";

/** Contract: `parse(format(v))` and `read(<TOML of toml(v)>)` both give `v` again. */
export interface Type<T> {
  /** What help shows after the flag: `--session-grace <duration>`. */
  readonly placeholder: string;
  /** Completes the sentence "must be …". */
  readonly allowed: string;
  /** All allowed texts, when they are few; shells complete them. */
  readonly choices?: readonly string[];
  /** From the text of a flag or a variable; undefined when it is not allowed. */
  parse(text: string): T | undefined;
  /** From a TOML value; undefined when it is not allowed. */
  read(value: unknown): T | undefined;
  /** The canonical text. */
  format(value: T): string;
  /** The canonical TOML literal. */
  toml(value: T): string;
}

/** A flag of a list may be given several times; a variable and a flag may hold several elements between commas. */
export interface ListType<T> extends Type<readonly T[]> {
  readonly element: Type<T>;
}

/** Control characters would let a value break out of a line of the log or of a terminal. */
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/** A TOML basic string; JSON's escapes are a subset of TOML's. */
const quote = (text: string): string => JSON.stringify(text).replaceAll("\u007f", "\\u007f");

/** A type whose TOML value is the same text as that of its flag. */
function textual<T>(
  type: Pick<Type<T>, "placeholder" | "allowed" | "choices" | "parse" | "format">,
): Type<T> {
  return {
    ...type,
    read: (value) => (typeof value === "string" ? type.parse(value) : undefined),
    toml: (value) => quote(type.format(value)),
  };
}

export const text = (max: number, min = 0): Type<string> =>
  textual({
    placeholder: "text",
    allowed: `text of ${min === 0 ? "at most" : `${min} to`} ${max} characters on one line`,
    parse: (text) => (text.length >= min && text.length <= max && !CONTROL.test(text) ? text : undefined),
    format: (value) => value,
  });

/** One of a few words. */
export const choice = <const C extends string>(...choices: readonly C[]): Type<C> =>
  textual({
    placeholder: choices.join("|"),
    allowed: `one of ${choices.map((each) => `"${each}"`).join(", ")}`,
    choices,
    parse: (text) => choices.find((each) => each === text),
    format: (value) => value,
  });

/** An absolute path in `Config`; a relative one is taken from the working directory. */
export const path: Type<string> = textual({
  placeholder: "path",
  allowed: "a path that is not empty",
  parse: (text) => (text !== "" && !CONTROL.test(text) ? resolve(text) : undefined),
  format: (value) => value,
});

/** "" stands for none. */
export const optional = (type: Type<string>): Type<string> =>
  textual({
    ...type,
    allowed: `${type.allowed}, or "" for none`,
    parse: (text) => (text === "" ? "" : type.parse(text)),
  });

const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*\.?$/i;

export const host: Type<string> = textual({
  placeholder: "host",
  allowed: 'an IP address or a host name, such as "127.0.0.1", "::1" or "localhost"',
  parse: (text) => (isIP(text) || (HOST_NAME.test(text) && !/^[\d.]+$/.test(text)) ? text : undefined),
  format: (value) => value,
});

export const address: Type<string> = textual({
  placeholder: "address",
  allowed: 'an IP address, such as "203.0.113.5"',
  parse: (text) => (isIP(text) && !text.includes("%") ? text : undefined),
  format: (value) => value,
});

const LABEL = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/;

/** A name of the DNS, in the spelling that certificates have: small letters, and punycode for others than ASCII. */
export const domainName: Type<string> = textual({
  placeholder: "name",
  allowed: 'a name of the DNS, such as "chat.example.org"',
  parse: (text) => {
    // Like the beginning of a URL, it would end at a slash.
    const name = /^[\p{L}\p{M}\p{N}.-]+$/u.test(text) ? domainToASCII(text) : "";
    const labels = name.split(".");
    return name.length <= 253 && labels.every((label) => LABEL.test(label)) && !/^\d+$/.test(labels.at(-1)!)
      ? name
      : undefined;
  },
  format: (value) => value,
});

/** A key as others hand it out. */
export const base64: Type<string> = textual({
  placeholder: "base64",
  allowed: "at most 1024 characters of base64url or base64",
  parse: (text) => (text.length <= 1024 && /^[\w+/-]+={0,2}$/.test(text) ? text : undefined),
  format: (value) => value,
});

export const email: Type<string> = textual({
  placeholder: "address",
  allowed: 'an e-mail address, such as "me@example.org"',
  parse: (text) =>
    text.length <= 254 && /^[^\s@,<>]+@[^\s@,<>]+$/.test(text) && !CONTROL.test(text) ? text : undefined,
  format: (value) => value,
});

export const httpsUrl: Type<string> = textual({
  placeholder: "url",
  allowed: 'an address such as "https://ca.example.org/directory"',
  parse: (text) => (/^https:\/\/[^\s,]+$/i.test(text) && URL.canParse(text) ? new URL(text).href : undefined),
  format: (value) => value,
});

/** Where Redis is. A password in it is never printed. */
export const redisUrl: Type<string> = textual({
  placeholder: "redis",
  allowed: REDIS_ADDRESS,
  parse: (text) => {
    if (CONTROL.test(text) || /\s/.test(text)) return undefined;
    try {
      parseRedisAddress(text);
      return text;
    } catch {
      return undefined;
    }
  },
  format: (value) => value,
});

/** A number; `whole` ones refuse fractions. TOML writes it without quotes. */
function numeric(placeholder: string, min: number, max: number, whole: boolean, what: string): Type<number> {
  const inRange = (value: number) =>
    value >= min && value <= max && (!whole || Number.isInteger(value)) ? value + 0 : undefined;
  return {
    placeholder,
    allowed: `${what} from ${min} to ${max}`,
    parse: (text) => (/^\d+(\.\d+)?$/.test(text) ? inRange(Number(text)) : undefined),
    read: (value) => (typeof value === "number" ? inRange(value) : undefined),
    format: String,
    toml: String,
  };
}

export const whole = (min: number, max: number): Type<number> =>
  numeric("number", min, max, true, "a whole number");
export const decimal = (min: number, max: number): Type<number> =>
  numeric("number", min, max, false, "a number");
export const port: Type<number> = numeric("port", 0, 65_535, true, "a whole number");

/** A type of which a word is one more value. */
export const orWord = <const W extends string, T>(word: W, type: Type<T>): Type<T | W> => ({
  placeholder: `${type.placeholder}|${word}`,
  allowed: `${type.allowed}, or "${word}"`,
  parse: (text) => (text === word ? word : type.parse(text)),
  read: (value) => (value === word ? word : type.read(value)),
  format: (value) => (value === word ? word : type.format(value as T)),
  toml: (value) => (value === word ? quote(word) : type.toml(value as T)),
});

export const boolean: Type<boolean> = {
  placeholder: "true|false",
  allowed: "true or false",
  choices: ["true", "false"],
  parse: (text) => (text === "true" ? true : text === "false" ? false : undefined),
  read: (value) => (typeof value === "boolean" ? value : undefined),
  format: String,
  toml: String,
};

/** A quantity with a unit, such as `20s`. A bare 0 needs none. */
function quantity(
  placeholder: string,
  what: string,
  units: readonly (readonly [name: string, factor: number])[],
  min: number,
  max: number,
): Type<number> {
  const pattern = new RegExp(`^(\\d+(?:\\.\\d+)?)\\s*(${units.map(([name]) => name).join("|")})$`, "i");
  const parse = (text: string): number | undefined => {
    const [, amount, unit] = text === "0" ? [text, "0", units[0]![0]] : (pattern.exec(text) ?? []);
    if (amount === undefined || unit === undefined) return undefined;
    const factor = units.find(([name]) => name === unit.toLowerCase())![1];
    // 0.1 * 1000 must be 100: round away what binary fractions add, refuse what is a true fraction.
    const value = Number((Number(amount) * factor).toPrecision(15));
    return Number.isInteger(value) && value >= min && value <= max ? value : undefined;
  };
  // The largest unit that leaves no fraction, but 24h and not 1d: one of the largest unit reads worse.
  const format = (value: number): string => {
    const last = units.length - 1;
    const index = units.findLastIndex(
      ([, factor], i) => value % factor === 0 && (i < last || value >= 2 * factor),
    );
    const [name, factor] = value === 0 ? units[1]! : units[index]!;
    return `${value / factor}${name}`;
  };
  return {
    placeholder,
    allowed: `${what}, from ${format(min)} to ${format(max)}`,
    parse,
    read: (value) => (typeof value === "string" ? parse(value) : value === 0 ? parse("0") : undefined),
    format,
    toml: (value) => quote(format(value)),
  };
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DURATION_UNITS = [
  ["ms", 1],
  ["s", SECOND],
  ["m", MINUTE],
  ["h", HOUR],
  ["d", 24 * HOUR],
] as const;

/** Milliseconds. The bounds are texts too: `duration("1s", "10m")`. */
export function duration(min: string, max: string): Type<number> {
  const any = quantity("duration", "", DURATION_UNITS, 0, Number.MAX_SAFE_INTEGER);
  const what = 'a duration such as "1500ms", "20s", "5m" or "24h"';
  return quantity("duration", what, DURATION_UNITS, any.parse(min)!, any.parse(max)!);
}

const SIZE_UNITS = [
  ["b", 1],
  ["kb", 1024],
  ["mb", 1024 ** 2],
  ["gb", 1024 ** 3],
] as const;

/** Bytes; kb, mb and gb are powers of 1024, as Redis has them. */
export function size(min: string, max: string): Type<number> {
  const any = quantity("size", "", SIZE_UNITS, 0, Number.MAX_SAFE_INTEGER);
  return quantity("size", 'a size such as "64mb" or "2gb"', SIZE_UNITS, any.parse(min)!, any.parse(max)!);
}

/** An origin as browsers send it: scheme, host and port without a default one, no path. */
export const origin: Type<string> = textual({
  placeholder: "origin",
  allowed: 'an origin such as "https://chat.example.org", without a path',
  parse: (text) => {
    if (!/^https?:\/\/[^/?#@\s,]+\/?$/i.test(text) || !URL.canParse(text)) return undefined;
    return new URL(text).origin;
  },
  format: (value) => value,
});

const NETWORK_NAMES = ["loopback", "linklocal", "uniquelocal"];

/** An address, a network, or a name that the proxy-addr library knows. */
export const network: Type<string> = textual({
  placeholder: "network",
  allowed: `an address, a network such as "10.0.0.0/8" or "fd00::/8", or one of ${NETWORK_NAMES.join(", ")}`,
  parse: (text) => {
    if (NETWORK_NAMES.includes(text)) return text;
    const [, address = "", prefix] = /^([0-9a-f:.]+)(?:\/(\d{1,3}))?$/i.exec(text) ?? [];
    const version = isIP(address);
    if (version === 0) return undefined;
    return prefix === undefined || Number(prefix) <= (version === 4 ? 32 : 128) ? text : undefined;
  },
  format: (value) => value,
});

/** The address of a STUN or TURN server, as browsers take it in an RTCIceServer. */
export const iceUrl: Type<string> = textual({
  placeholder: "url",
  allowed: 'an address such as "stun:stun.example.org:3478" or "turn:turn.example.org:3478?transport=udp"',
  parse: (text) => {
    const pattern = /^(?:stuns?:([^\s,?/@]+?)|turns?:([^\s,?/@]+?)(?:\?transport=(?:udp|tcp))?)$/;
    const match = pattern.exec(text);
    const authority = match?.[1] ?? match?.[2];
    return authority !== undefined && URL.canParse(`http://${authority}`) ? text : undefined;
  },
  format: (value) => value,
});

/** The address of a STUN server, without TLS. */
export const stunUrl: Type<string> = textual({
  placeholder: "url",
  allowed: 'an address such as "stun:stun.example.org:3478"',
  parse: (text) => (text.startsWith("stun:") ? iceUrl.parse(text) : undefined),
  format: (value) => value,
});

/** Elements never hold a comma, or a list could not be written as a variable. */
export function list<T>(element: Type<T>, max = 100): ListType<T> {
  const bounded = <V>(values: readonly (V | undefined)[]): readonly V[] | undefined =>
    values.length <= max && values.every((value) => value !== undefined) ? (values as V[]) : undefined;
  return {
    placeholder: `${element.placeholder},…`,
    allowed: `a list of at most ${max}, each ${element.allowed}`,
    element,
    parse: (text) => bounded(splitList(text).map((each) => element.parse(each))),
    read: (value) => (Array.isArray(value) ? bounded(value.map((each) => element.read(each))) : undefined),
    format: (values) => values.map((value) => element.format(value)).join(","),
    toml: (values) => `[${values.map((value) => element.toml(value)).join(", ")}]`,
  };
}

export const splitList = (text: string): string[] =>
  text.trim() === "" ? [] : text.split(",").map((each) => each.trim());

export const isList = (type: Type<unknown>): type is ListType<unknown> => "element" in type;
