import { MAX_INTEREST_CHARACTERS, MAX_INTERESTS } from "../../src/protocol/limits.ts";

/** Two spellings of one interest have the same key: the server compares case-folded as well. */
const key = (interest: string) => interest.toLowerCase();

/** One interest as it is kept: NFC, single spaces, trimmed, at most 32 characters; "" when nothing is left. */
export function tidyInterest(text: string): string {
  const tidy = text.normalize("NFC").replace(/\s+/gu, " ").trim();
  return [...tidy].slice(0, MAX_INTEREST_CHARACTERS).join("").trim();
}

/** Adds what was typed, which commas or line ends may divide, to those there are; at most ten, each once. */
export function addInterests(present: readonly string[], typed: string): string[] {
  const interests = [...present];
  const known = new Set(interests.map(key));
  for (const part of typed.split(/[,;\n]/u)) {
    const interest = tidyInterest(part);
    if (!interest || known.has(key(interest)) || interests.length >= MAX_INTERESTS) continue;
    known.add(key(interest));
    interests.push(interest);
  }
  return interests;
}
