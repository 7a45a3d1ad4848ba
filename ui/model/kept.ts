/**
 * What outlives the page. The session is written down when the page goes away and taken (read and removed) by the next
 * one in the same tab: so a reload resumes, while a duplicated tab, which gets a copy of the tab's storage, finds
 * nothing and is a session of its own. The device token and the preferences belong to the browser.
 */
import { MAX_INTEREST_CHARACTERS, MAX_INTERESTS, MAX_LANGUAGES } from "../../src/protocol/limits.ts";
import type { Common, Mode, Role } from "../../src/protocol/messages.ts";
import type { Preferences } from "./state.ts";

/** The part of `Storage` that is used. Every method may throw: browsers can forbid it. */
export type KeyValues = Pick<Storage, "getItem" | "setItem" | "removeItem">;

export interface KeptSession {
  resume: string;
  /** Present while the visitor wants a partner or has one. */
  mode?: Mode;
  call?: KeptCall;
}

export interface KeptCall {
  pair: string;
  role: Role;
  generation: number;
  common: Common;
}

const SESSION = "chatrandom.session";
const DEVICE = "chatrandom.device";
const PREFERENCES = "chatrandom.preferences";

export function takeSession(tab: KeyValues | null): KeptSession | null {
  const kept = read(tab, SESSION) as Partial<KeptSession> | null;
  try {
    tab?.removeItem(SESSION);
  } catch {
    return null; // could not be taken: it may be a copy
  }
  if (typeof kept?.resume !== "string") return null;
  const mode = kept.mode === "video" || kept.mode === "text" ? kept.mode : undefined;
  return { resume: kept.resume, mode, call: mode && isCall(kept.call) ? kept.call : undefined };
}

export function keepSession(tab: KeyValues | null, session: KeptSession): void {
  write(tab, SESSION, session);
}

/** The token of this browser; a new one for this page alone where nothing can be stored. */
export function deviceToken(site: KeyValues | null, randomToken: () => string): string {
  const kept = read(site, DEVICE);
  if (typeof kept === "string" && kept.length >= 16 && kept.length <= 128) return kept;
  const token = randomToken();
  write(site, DEVICE, token);
  return token;
}

export function keptPreferences(site: KeyValues | null): Preferences {
  const kept = read(site, PREFERENCES);
  return withinLimits((typeof kept === "object" && kept !== null ? kept : {}) as Partial<Preferences>);
}

export function keepPreferences(site: KeyValues | null, preferences: Preferences): void {
  write(site, PREFERENCES, preferences);
}

/** Preferences as the node accepts them; what does not fit is left out. */
export function withinLimits(wanted: Partial<Preferences>): Preferences {
  const { interests, languages, strict, hideAddress } = wanted;
  return {
    interests: texts(interests, (interest) => interest.normalize("NFC").trim())
      .filter((interest) => interest !== "" && [...interest].length <= MAX_INTEREST_CHARACTERS)
      .slice(0, MAX_INTERESTS),
    languages: texts(languages, (language) => language)
      .filter(isLanguageTag)
      .slice(0, MAX_LANGUAGES),
    strict: strict === true,
    hideAddress: hideAddress === true,
  };
}

/** Some browsers report locales such as `en-US@posix` as a language; a node refuses those. */
export const isLanguageTag = (text: string): boolean => /^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$/.test(text);

function texts(value: unknown, tidy: (text: string) => string): string[] {
  if (!Array.isArray(value)) return [];
  return [...new Set(value.filter((item): item is string => typeof item === "string").map(tidy))];
}

function isCall(value: unknown): value is KeptCall {
  const call = value as KeptCall | null | undefined;
  return (
    typeof call?.pair === "string" &&
    (call.role === "offerer" || call.role === "answerer") &&
    Number.isInteger(call.generation) &&
    Array.isArray(call.common?.interests)
  );
}

function read(storage: KeyValues | null, key: string): unknown {
  try {
    return JSON.parse(storage?.getItem(key) ?? "null");
  } catch {
    return null;
  }
}

function write(storage: KeyValues | null, key: string, value: unknown): void {
  try {
    storage?.setItem(key, JSON.stringify(value));
  } catch {
    // Full or forbidden: the page works without.
  }
}
