/**
 * Writes what comes from the table of options: `config.example.toml`, and the reference between the markers of the
 * README. With --check it writes nothing and exits 1 when one of them is not up to date.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { exampleFile, reference } from "../src/config/example.ts";

const MARKERS = /(<!-- options -->\n)[^]*?(\n<!-- \/options -->)/;

/** Throws when the text has no place for the reference. */
export function withReference(readme: string): string {
  if (!MARKERS.test(readme))
    throw new Error("README.md has no <!-- options --> and <!-- /options --> markers");
  return readme.replace(MARKERS, (_, start: string, end: string) => `${start}\n${reference()}\n${end}`);
}

function main(check: boolean): void {
  const path = (name: string) => fileURLToPath(new URL(`../${name}`, import.meta.url));
  const generated: Record<string, string> = {
    "config.example.toml": exampleFile(),
    "README.md": withReference(readFileSync(path("README.md"), "utf8")),
  };
  const current = (name: string): string | undefined => {
    try {
      return readFileSync(path(name), "utf8");
    } catch {
      return undefined;
    }
  };
  const stale = Object.keys(generated).filter((name) => current(name) !== generated[name]);
  if (!check) for (const name of stale) writeFileSync(path(name), generated[name]!);
  for (const name of stale)
    console.log(check ? `${name} is not up to date: node scripts/generate.ts` : `wrote ${name}`);
  if (check && stale.length > 0) process.exitCode = 1;
}

if (import.meta.main) main(process.argv.includes("--check"));
