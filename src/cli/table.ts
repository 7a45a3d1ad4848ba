/** Tables on a terminal. What strangers wrote does nothing to it. */

/** Columns whose title begins with # hold numbers, which end at one line. */
export function table(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [
    titles.map((title) => title.replace("#", "").toUpperCase()),
    ...rows.map((row) => row.map((cell) => (cell === "" ? "-" : harmless(cell)))),
  ];
  const widths = titles.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) =>
        titles[column]!.startsWith("#") ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
      )
      .join("  ")
      .trimEnd();
  return `${cells.map(line).join("\n")}\n`;
}

/** Control and format characters, but for the line breaks of JSON, as they are written in JSON. */
export const harmless = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    character === "\n"
      ? character
      : [...Array(character.length).keys()]
          .map((at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`)
          .join(""),
  );
