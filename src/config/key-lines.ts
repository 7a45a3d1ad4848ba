/**
 * On which line of a TOML text each key stands. The parser tells positions of syntax errors only, and an operator who
 * wrote an impossible value wants the line too. This scan runs after the parser accepted the text, so it may assume
 * that the text is TOML, and it understands only as much as it needs to skip values.
 */

/** `["http", "allowed_origins", 2]` is the third element of a list. */
export type KeyPath = readonly (string | number)[];

const spell = (path: KeyPath): string => JSON.stringify(path);

/** Returns the line, counted from 1, on which a key, a table or an element of a list first appears. */
export function keyLines(toml: string): (path: KeyPath) => number | undefined {
  const lines = new Map<string, number>();
  const tableCounts = new Map<string, number>();
  let at = 0;
  let line = 1;

  const skipBlank = (newlines: boolean): void => {
    for (; at < toml.length; at++) {
      const c = toml[at];
      if (c === "#") {
        while (at + 1 < toml.length && toml[at + 1] !== "\n") at++;
      } else if (c === "\n") {
        if (!newlines) return;
        line++;
      } else if (c !== " " && c !== "\t" && c !== "\r") return;
    }
  };

  /** Skips a string of any of the four kinds and returns what stands between its quotes. */
  const string = (): string => {
    const quote = toml[at]!;
    const fence = toml.startsWith(quote.repeat(3), at) ? quote.repeat(3) : quote;
    const start = (at += fence.length);
    while (at < toml.length && !toml.startsWith(fence, at)) {
      if (toml[at] === "\\" && quote === '"') at++;
      if (toml[at] === "\n") line++;
      at++;
    }
    // A multi-line string may end in up to two quotes of its own before the fence.
    if (fence.length === 3) while (toml[at + 3] === quote) at++;
    const content = toml.slice(start, at);
    at += fence.length;
    return content;
  };

  const key = (): string[] => {
    const parts: string[] = [];
    for (;;) {
      skipBlank(false);
      const c = toml[at];
      if (c === '"') parts.push(unescape(string()));
      else if (c === "'") parts.push(string());
      else {
        const start = at;
        while (at < toml.length && /[^\s.=\]"'#]/.test(toml[at]!)) at++;
        parts.push(toml.slice(start, at));
      }
      skipBlank(false);
      if (toml[at] !== ".") return parts;
      at++;
    }
  };

  /** Notes a key and, where they are new, the tables that a dotted key or header implies. */
  const note = (base: KeyPath, parts: KeyPath): KeyPath => {
    let path = base;
    for (const part of parts) {
      path = [...path, part];
      const spelled = spell(path);
      if (!lines.has(spelled)) lines.set(spelled, line);
    }
    return path;
  };

  const pair = (base: KeyPath): void => {
    const path = note(base, key());
    at++; // =
    skipBlank(false);
    value(path);
  };

  const value = (path: KeyPath): void => {
    const c = toml[at];
    if (c === '"' || c === "'") string();
    else if (c === "[" || c === "{") {
      const end = c === "[" ? "]" : "}";
      at++;
      for (let index = 0; ; index++) {
        skipBlank(true);
        if (toml[at] === end || at >= toml.length) break;
        const before = at;
        if (c === "[") value(note(path, [index]));
        else pair(path);
        skipBlank(true);
        // Always a step forward, even where this scan and the parser should disagree.
        if (toml[at] === "," || at === before) at++;
      }
      at++;
    } else while (at < toml.length && !/[,\]}#\n]/.test(toml[at]!)) at++;
  };

  /** The header `[a.b]` below `[[a]]` means the last element of `a`. */
  const table = (): KeyPath => {
    const isElement = toml[at + 1] === "[";
    at += isElement ? 2 : 1;
    const parts = key();
    at += isElement ? 2 : 1;
    let path: KeyPath = [];
    for (const [index, part] of parts.entries()) {
      path = note(path, [part]);
      const spelled = spell(path);
      if (isElement && index === parts.length - 1)
        tableCounts.set(spelled, (tableCounts.get(spelled) ?? 0) + 1);
      const count = tableCounts.get(spelled);
      if (count !== undefined) path = note(path, [count - 1]);
    }
    return path;
  };

  let current: KeyPath = [];
  for (skipBlank(true); at < toml.length; skipBlank(true)) {
    if (toml[at] === "[") current = table();
    else pair(current);
  }
  return (path) => lines.get(spell(path));
}

/** Only what a key can hold; the parser has checked that the escapes are right. */
function unescape(raw: string): string {
  const names: Record<string, string> = { b: "\b", t: "\t", n: "\n", f: "\f", r: "\r", e: "\u001b" };
  return raw.replace(/\\(?:u(.{4})|U(.{8})|x(..)|(.))/g, (_, u, U, x, c: string) => {
    const code: string | undefined = u ?? U ?? x;
    return code === undefined ? (names[c] ?? c) : String.fromCodePoint(Number.parseInt(code, 16));
  });
}
