import { Failure } from "../failure.ts";
import { asset } from "./assets.ts";
import { place, privateDirectories } from "./extract.ts";

let directories: readonly string[] = privateDirectories();

/**
 * Names the directories that addons are put into, best first. Hazard: an addon is loaded when the module that needs it
 * is imported, so call this first and import such a module by `await import(…)`.
 */
export function keepAddonsIn(candidates: readonly string[]): void {
  directories = candidates;
}

/**
 * Loads a native addon that the executable carries: out of the first directory that takes it and lets it be mapped
 * (a noexec one does not).
 * @returns what the addon exports
 * @throws Failure that names every directory and what is wrong with it.
 */
export function loadAddon(name: string, content: Uint8Array = asset(name)): unknown {
  const refused: string[] = [];
  for (const directory of directories) {
    try {
      const module = { exports: {} };
      process.dlopen(module, place(directory, name, content).file);
      return module.exports;
    } catch (error) {
      refused.push(`${directory} (${(error as NodeJS.ErrnoException).code ?? (error as Error).message})`);
    }
  }
  throw new Failure(`found no directory that ${name} can be loaded from: tried ${refused.join(", ")}`);
}
