/** What a check of `chatrandom doctor` has found: how it is, in words, and what to change. */
import { flagOf, type Key, type Option, options, variableOf } from "../config/options.ts";

/** `skipped` could not be looked at, which is nobody's fault. */
export type Level = "fine" | "warning" | "wrong" | "skipped";

export interface Finding {
  readonly check: string;
  readonly level: Level;
  /** What was found. It stands alone. */
  readonly text: string;
  /** What to change. */
  readonly advice?: string;
}

export const fine = (check: string, text: string): Finding => ({ check, level: "fine", text });
export const skipped = (check: string, text: string): Finding => ({ check, level: "skipped", text });
export const warning = (check: string, text: string, advice: string): Finding => ({
  check,
  level: "warning",
  text,
  advice,
});
export const wrong = (check: string, text: string, advice: string): Finding => ({
  check,
  level: "wrong",
  text,
  advice,
});

/** An option in its three spellings; of a secret there are two. */
export function spelled(key: Key): string {
  const { secret }: Option = options[key];
  return secret ? `${key} (${variableOf(key)})` : `${key} (--${flagOf(key)}, ${variableOf(key)})`;
}

/** 1 KB is 1024 bytes, as the options have it. */
export function bytes(count: number): string {
  const units = ["b", "kb", "mb", "gb", "tb"];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, count)) / 10)));
  const value = count / 1024 ** power;
  return `${value < 10 && power > 0 ? value.toFixed(1) : Math.round(value)} ${units[power]}`;
}
