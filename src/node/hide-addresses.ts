/**
 * Takes a visitor's own addresses out of what his page says to the other side: of ICE candidates only relayed ones are
 * left, whose address is the relay's. A page that hides its visitor's address gathers no others; this holds also for one
 * that does not keep to it, by a fault or because the operator's rule is news to it.
 */
import { isIP } from "node:net";

/** Deeper than any page nests what it signals; JSON nests without bound. */
const MAX_DEPTH = 16;

/** An offer or another session description. */
export function hideInText(text: string): string {
  return text
    .split(/(\r\n|\r|\n)/)
    .reduce<string[]>((kept, part, index, parts) => {
      // Lines and what ends them take turns.
      if (index % 2 === 1) return kept;
      const line = hiddenLine(part);
      if (line !== undefined) kept.push(line + (parts[index + 1] ?? ""));
      return kept;
    }, [])
    .join("");
}

/** What a signal holds, with all that is nested in it. Undefined when nothing is left that the other side could use. */
export function hideInData(data: Record<string, unknown>): Record<string, unknown> | undefined {
  const hidden = hide(data, 0);
  return hidden === GONE ? undefined : (hidden as Record<string, unknown>);
}

/** Stands for a candidate, and for what was there only for its sake. */
const GONE = Symbol("gone");

function hide(value: unknown, depth: number): unknown {
  if (typeof value === "string") {
    const text = hideInText(value);
    return text === "" && value !== "" ? GONE : text;
  }
  if (typeof value !== "object" || value === null) return value;
  if (depth === MAX_DEPTH) return GONE;
  if (Array.isArray(value)) {
    const left = value.map((item) => hide(item, depth + 1)).filter((item) => item !== GONE);
    return left.length === 0 && value.length > 0 ? GONE : left;
  }
  const fields: [string, unknown][] = [];
  for (const [name, field] of Object.entries(value)) {
    const hidden = hide(field, depth + 1);
    // An object with a candidate in it is about that candidate; a signal without its list of candidates says nothing.
    if (hidden === GONE && (name === "candidate" || name === "candidates")) return GONE;
    if (hidden !== GONE) fields.push([hideInText(name), hidden]);
  }
  return Object.fromEntries(fields);
}

/** Undefined for a line that is not passed on. */
function hiddenLine(line: string): string | undefined {
  if (/candidate:/i.test(line)) return relayedCandidate(line);
  const port = /^(m=\S+ )(\d+)(.*)$/.exec(line);
  if (port) return withoutAddresses(`${port[1]}${port[2] === "0" ? "0" : "9"}${port[3]}`);
  if (line.startsWith("a=rtcp:")) return "a=rtcp:9 IN IP4 0.0.0.0";
  if (line.startsWith("c=")) return "c=IN IP4 0.0.0.0";
  return withoutAddresses(line);
}

/** foundation, component, transport, priority, address, port, type relay, and then the rest by names and values. */
const CANDIDATE = /^((?:a=)?candidate:\S+ \d+ \S+ \d+ )(\S+)( \d+ typ relay)((?: \S+)*)$/;

function relayedCandidate(line: string): string | undefined {
  const [, before, address, type, rest = ""] = CANDIDATE.exec(line) ?? [];
  if (before === undefined || isIP(address!) === 0) return undefined;
  const hidden = rest.replace(/ raddr \S+/g, " raddr 0.0.0.0").replace(/ rport \S+/g, " rport 9");
  return withoutAddresses(before) + address + type + withoutAddresses(hidden);
}

/**
 * Any address in a text, and the names that browsers give to local ones. Hazard: the text is a stranger's, so every
 * expression here takes time that grows with its length and not with the square of it.
 */
const withoutAddresses = (text: string): string =>
  text
    .replace(/[0-9a-f:.]+/gi, (run) => (/[:.]/.test(run) ? hiddenRun(run) : run))
    .replace(/[0-9a-z.-]+/gi, (run) => (/\.local\b/i.test(run) ? UNKNOWN : run));

const UNKNOWN = "0.0.0.0";

/** Of a run that only looks like an address nothing changes: a fingerprint, a version. */
function hiddenRun(run: string): string {
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
    const version = isIP(run.slice(from, to));
    if (version !== 0) return run.slice(0, from) + (version === 4 ? UNKNOWN : "::") + run.slice(to);
  }
  // With a port behind it.
  return run.replace(/\d{1,3}(?:\.\d{1,3}){3}/g, UNKNOWN);
}
