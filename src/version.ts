import manifest from "../package.json" with { type: "json" };

/** The version of ChatRandom, as in `package.json`. */
export const VERSION: string = manifest.version;
