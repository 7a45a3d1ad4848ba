/**
 * The only place where a stranger's bytes become a message. Closed: what is not named in README.md is an error with
 * its field (T5); extra fields are ignored and never copied.
 */
import {
  MAX_DETAILS_CHARACTERS,
  MAX_FIRST_FRAME_MS,
  MAX_INTEREST_CHARACTERS,
  MAX_INTERESTS,
  MAX_LANGUAGES,
  MAX_OFFER_BYTES,
  MAX_SIGNAL_BYTES,
} from "./limits.ts";
import { CALL_CAUSES, CALL_OUTCOMES, CANDIDATE_TYPES, REPORT_REASONS, TRANSPORTS } from "./messages.ts";
import type { ClientMessage, Find, Hello, Ping, Quality, Report, Signal } from "./messages.ts";

export interface ParseError {
  code: "invalid_message" | "unknown_type";
  message: string;
  field?: string;
}
export type Parsed = { ok: true; message: ClientMessage } | { ok: false; error: ParseError };

type Fields = Record<string, unknown>;

/** Thrown inside this file only, so that a field's check stays one line. */
class Invalid {
  readonly field: string;
  readonly expected: string;
  constructor(field: string, expected: string) {
    this.field = field;
    this.expected = expected;
  }
}

const MAX_TOKEN_CHARACTERS = 128;
const encoder = new TextEncoder();

/** Reads one text frame. Never throws, whatever the text is. */
export function parse(text: string): Parsed {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return invalid("the frame is not JSON");
  }
  if (!isObject(value)) return invalid("the frame is not a JSON object");
  const { type } = value;
  if (typeof type !== "string") return invalid("type: must be a string", "type");
  try {
    const message = read(type, value, text);
    if (message === undefined) {
      return {
        ok: false,
        error: { code: "unknown_type", message: "this node knows no such type", field: "type" },
      };
    }
    return { ok: true, message };
  } catch (error) {
    if (error instanceof Invalid) return invalid(`${error.field}: must be ${error.expected}`, error.field);
    throw error;
  }
}

function invalid(message: string, field?: string): Parsed {
  return {
    ok: false,
    error:
      field === undefined
        ? { code: "invalid_message", message }
        : { code: "invalid_message", message, field },
  };
}

function read(type: string, fields: Fields, text: string): ClientMessage | undefined {
  switch (type) {
    case "signal":
      return signal(fields, text);
    case "find":
      return find(fields);
    case "leave":
      return { type };
    case "ping":
      return ping(fields);
    case "hello":
      return hello(fields);
    case "block":
      return { type, pair: pair(fields) };
    case "report":
      return report(fields);
    case "quality":
      return quality(fields);
    default:
      return undefined;
  }
}

function hello(fields: Fields): Hello {
  const message: Hello = { type: "hello" };
  const resume = optionalString(fields, "resume", 1, MAX_TOKEN_CHARACTERS);
  const device = optionalString(fields, "device", 1, MAX_TOKEN_CHARACTERS);
  const invite = optionalString(fields, "invite", 1, MAX_TOKEN_CHARACTERS);
  const lang = optionalString(fields, "lang", 1, 64);
  if (resume !== undefined) message.resume = resume;
  if (device !== undefined) message.device = device;
  if (invite !== undefined) message.invite = invite;
  if (lang !== undefined) message.lang = lang;
  if (fields.proof !== undefined && fields.proof !== null) {
    if (!isObject(fields.proof)) throw new Invalid("proof", "an object");
    message.proof = fields.proof;
  }
  return message;
}

function find(fields: Fields): Find {
  const { mode } = fields;
  if (mode !== "video" && mode !== "text") throw new Invalid("mode", '"video" or "text"');
  const message: Find = { type: "find", mode };
  const interests = strings(fields, "interests", MAX_INTERESTS, MAX_INTEREST_CHARACTERS);
  const languages = strings(fields, "languages", MAX_LANGUAGES, 35);
  if (interests) message.interests = interests;
  if (languages) message.languages = languages;
  for (const name of ["strict", "again", "relay"] as const) {
    const value = optionalBoolean(fields, name);
    if (value !== undefined) message[name] = value;
  }
  const { offer } = fields;
  if (offer !== undefined && offer !== null) {
    if (typeof offer !== "string" || offer === "" || tooManyBytes(offer, MAX_OFFER_BYTES)) {
      throw new Invalid("offer", `a session description of at most ${MAX_OFFER_BYTES} bytes`);
    }
    message.offer = offer;
  }
  return message;
}

function signal(fields: Fields, text: string): Signal {
  const message: Signal = { type: "signal", pair: pair(fields), data: data(fields, text) };
  const relay = optionalBoolean(fields, "relay");
  if (relay !== undefined) message.relay = relay;
  return message;
}

function report(fields: Fields): Report {
  const reason = oneOf(fields, "reason", REPORT_REASONS);
  const message: Report = { type: "report", pair: pair(fields), reason };
  const details = optionalString(fields, "details", 0, MAX_DETAILS_CHARACTERS);
  if (details) message.details = details;
  return message;
}

function quality(fields: Fields): Quality {
  const { way, firstFrame, cause } = fields;
  const message: Quality = {
    type: "quality",
    pair: pair(fields),
    outcome: oneOf(fields, "outcome", CALL_OUTCOMES),
  };
  if (cause !== undefined && cause !== null) message.cause = oneOf(fields, "cause", CALL_CAUSES);
  if (way !== undefined && way !== null) {
    if (!isObject(way)) throw new Invalid("way", "an object");
    message.way = {
      local: oneOf(way, "local", CANDIDATE_TYPES),
      remote: oneOf(way, "remote", CANDIDATE_TYPES),
      transport: oneOf(way, "transport", TRANSPORTS),
    };
  }
  if (firstFrame !== undefined && firstFrame !== null) {
    if (typeof firstFrame !== "number" || !(firstFrame >= 0 && firstFrame <= MAX_FIRST_FRAME_MS)) {
      throw new Invalid("firstFrame", `a number from 0 to ${MAX_FIRST_FRAME_MS}`);
    }
    message.firstFrame = firstFrame;
  }
  for (const name of ["interrupted", "moved"] as const) {
    const value = optionalBoolean(fields, name);
    if (value !== undefined) message[name] = value;
  }
  return message;
}

function ping(fields: Fields): Ping {
  const { t } = fields;
  if (t === undefined || t === null) return { type: "ping" };
  if (typeof t !== "number") throw new Invalid("t", "a number");
  return { type: "ping", t };
}

function pair(fields: Fields): string {
  const value = fields.pair;
  if (typeof value !== "string" || value === "" || value.length > 64)
    throw new Invalid("pair", "the pair's id");
  return value;
}

function data(fields: Fields, text: string): Record<string, unknown> {
  const value = fields.data;
  if (!isObject(value)) throw new Invalid("data", "an object");
  // The whole frame bounds its part: only a frame that is long is measured. A character is at most three bytes.
  if (text.length * 3 > MAX_SIGNAL_BYTES && tooManyBytes(JSON.stringify(value), MAX_SIGNAL_BYTES)) {
    throw new Invalid("data", `at most ${MAX_SIGNAL_BYTES} bytes of JSON`);
  }
  return value;
}

function oneOf<T extends string>(fields: Fields, name: string, values: readonly T[]): T {
  const value = values.find((each) => each === fields[name]);
  if (value === undefined) throw new Invalid(name, `one of ${values.join(", ")}`);
  return value;
}

function optionalBoolean(fields: Fields, name: string): boolean | undefined {
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "boolean") throw new Invalid(name, "true or false");
  return value;
}

function optionalString(fields: Fields, name: string, least: number, most: number): string | undefined {
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string" || !hasCharacters(value, least, most)) {
    throw new Invalid(name, `a string of ${least} to ${most} characters`);
  }
  return value;
}

function strings(
  fields: Fields,
  name: string,
  mostItems: number,
  mostCharacters: number,
): string[] | undefined {
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value) || value.length > mostItems)
    throw new Invalid(name, `a list of at most ${mostItems}`);
  for (const item of value) {
    if (typeof item !== "string" || !hasCharacters(item, 1, mostCharacters)) {
      throw new Invalid(name, `a list of strings of 1 to ${mostCharacters} characters`);
    }
  }
  return value as string[];
}

/** Characters are code points, as people who type emoji would count most of them. */
function hasCharacters(text: string, least: number, most: number): boolean {
  if (text.length < least || text.length > most * 2) return false;
  return text.length <= most || [...text].length <= most;
}

function tooManyBytes(text: string, most: number): boolean {
  if (text.length * 3 <= most) return false;
  return text.length > most || encoder.encode(text).length > most;
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
