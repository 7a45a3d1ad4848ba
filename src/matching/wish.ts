import type { Mode } from "../protocol/messages.ts";
import type { Wish } from "../session/match.ts";

/** The part of a `find` message that is a wish; types and counts have been checked. */
export interface Wanted {
  mode: Mode;
  interests?: readonly string[];
  languages?: readonly string[];
  strict?: boolean;
}

/** Names the field that cannot be taken, and says why to people. */
export interface Refusal {
  field: "interests" | "languages";
  message: string;
}

/**
 * Makes a wish that compares (M5): interests trimmed, white space collapsed, case-folded, NFC; languages as primary
 * subtags; neither twice, nor empty. Control characters and languages that are none are refused.
 */
export function readWish(wanted: Wanted): { wish: Wish } | Refusal {
  const interests = new Set<string>();
  for (const written of wanted.interests ?? []) {
    if (!isText(written)) return { field: "interests", message: "an interest holds control characters" };
    const interest = fold(written);
    if (isVisible(interest)) interests.add(interest);
  }
  const languages = new Set<string>();
  for (const written of wanted.languages ?? []) {
    if (written.trim() === "") continue;
    const language = primarySubtag(written.trim());
    if (!language) return { field: "languages", message: "a language is no BCP 47 tag such as en or pt-BR" };
    languages.add(language);
  }
  return {
    wish: {
      mode: wanted.mode,
      interests: [...interests],
      languages: [...languages],
      strict: wanted.strict ?? false,
    },
  };
}

/** Neither broken nor with characters that change the line or the direction of what stands beside them. */
const isText = (text: string): boolean =>
  text.isWellFormed() &&
  !/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u.test(text.replace(/[\t\n\r]/g, " "));

const isVisible = (text: string): boolean => /[^\s\p{Default_Ignorable_Code_Point}]/u.test(text);

/**
 * JavaScript has no case folding, but lower case of upper case of lower case is one: it joins ß, ẞ and ss, or ς and σ.
 * Composed once before, since the case of a letter may depend on its accents, and once after, since folding may take
 * letters apart.
 */
const fold = (text: string): string => {
  const folded = text.normalize("NFC").toLowerCase().toUpperCase().toLowerCase();
  return folded.normalize("NFC").replace(/\s+/g, " ").trim();
};

/** Undetermined, several, uncoded, none: no language to share. */
const NO_LANGUAGES = new Set(["und", "mul", "mis", "zxx"]);

/** Ways of writing one language that its speakers' browsers do not agree on. */
const WRITTEN_AS = new Map([
  ["nb", "no"],
  ["nn", "no"],
]);

/** `en` of `en-GB`, `he` of the older `iw`; undefined when it is no language. */
function primarySubtag(tag: string): string | undefined {
  try {
    const { language } = new Intl.Locale(tag);
    if (!/^[a-z]{2,3}$/.test(language) || NO_LANGUAGES.has(language)) return undefined;
    return WRITTEN_AS.get(language) ?? language;
  } catch {
    return undefined;
  }
}
