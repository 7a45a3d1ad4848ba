/**
 * Takes addresses out of what one page says to another: out of offers and of whatever signals hold. Which ones, and which
 * ICE candidates go with them, is for a rule to say (`hidden-visitor.ts`, `private-addresses.ts`).
 */
import { isIP } from "node:net";

/** What is left of a line; undefined for one that is not passed on. */
export type LineRule = (line: string) => string | undefined;

/** Deeper than any page nests what it signals; JSON nests without bound. */
const MAX_DEPTH = 16;

/** An offer or another session description. */
export function hideInText(text: string, rule: LineRule): string {
  return text
    .split(/(\r\n|\r|\n)/)
    .reduce<string[]>((kept, part, index, parts) => {
      // Lines and what ends them take turns.
      if (index % 2 === 1) return kept;
      const line = rule(part);
      if (line !== undefined) kept.push(line + (parts[index + 1] ?? ""));
      return kept;
    }, [])
    .join("");
}

/** What a signal holds, with all that is nested in it. Undefined when nothing is left that the other side could use. */
export function hideInData(
  data: Record<string, unknown>,
  rule: LineRule,
): Record<string, unknown> | undefined {
  const hidden = hide(data, rule, 0);
  return hidden === GONE ? undefined : (hidden as Record<string, unknown>);
}

/** Stands for a candidate, and for what was there only for its sake. */
const GONE = Symbol("gone");

function hide(value: unknown, rule: LineRule, depth: number): unknown {
  if (typeof value === "string") {
    const text = hideInText(value, rule);
    return text === "" && value !== "" ? GONE : text;
  }
  if (typeof value !== "object" || value === null) return value;
  if (depth === MAX_DEPTH) return GONE;
  if (Array.isArray(value)) {
    const left = value.map((item) => hide(item, rule, depth + 1)).filter((item) => item !== GONE);
    return left.length === 0 && value.length > 0 ? GONE : left;
  }
  const fields: [string, unknown][] = [];
  for (const [name, field] of Object.entries(value)) {
    const hidden = hide(field, rule, depth + 1);
    // An object with a candidate in it is about that candidate; a signal without its list of candidates says nothing.
    if (hidden === GONE && (name === "candidate" || name === "candidates")) return GONE;
    if (hidden !== GONE) fields.push([hideInText(name, rule), hidden]);
  }
  return Object.fromEntries(fields);
}

/** foundation, component, transport, priority, address, port, type, and then the rest by names and values. */
const CANDIDATE = /^((?:a=)?candidate:\S+ \d+ \S+ \d+ )(\S+)( \d+ typ (\S+))((?: \S+)*)$/;

export interface CandidateLine {
  before: string;
  address: string;
  type: string;
  /** The port and the type, as they stand between the address and the rest. */
  between: string;
  rest: string;
}

/** Undefined for a line that is no candidate, or none that is well formed. */
export function candidateLine(line: string): CandidateLine | undefined {
  const [, before, address, between, type, rest] = CANDIDATE.exec(line) ?? [];
  return before === undefined
    ? undefined
    : { before, address: address!, between: between!, type: type!, rest: rest! };
}

/** Runs with two marks at least. Hazard: one that could begin within a run would take time that grows with its square. */
const ADDRESS_LIKE = /(?<![\da-f:.])[\da-f]*[:.][\da-f]*[:.][\da-f:.]*/gi;

/** A text with those addresses in it hidden for which `isHidden` says so. Hazard: the text is a stranger's. */
export const withoutAddresses = (text: string, isHidden: (address: string) => boolean): string =>
  text.replace(ADDRESS_LIKE, (run) => hiddenRun(run, isHidden));

export const NO_ADDRESS = "0.0.0.0";

/** Of a run that only looks like an address nothing changes: a fingerprint, a version. */
function hiddenRun(run: string, isHidden: (address: string) => boolean): string {
  const isMark = (at: number): boolean => run[at] === ":" || run[at] === ".";
  let end = run.length;
  while (end > 0 && isMark(end - 1)) end -= 1;
  // Something may be said of it with a colon before, and a sentence ends behind it.
  for (const [from, to] of [
    [0, run.length],
    [0, end],
    [1, run.length],
    [1, end],
  ] as const) {
    if (from === 1 && !isMark(0)) continue;
    const address = run.slice(from, to);
    const version = isIP(address);
    if (version === 0) continue;
    if (!isHidden(address)) return run;
    return run.slice(0, from) + (version === 4 ? NO_ADDRESS : "::") + run.slice(to);
  }
  // With a port behind it.
  return run.replace(/\d{1,3}(?:\.\d{1,3}){3}/g, (address) => (isHidden(address) ? NO_ADDRESS : address));
}
