/** What one option is. */
import type { Type } from "./types.ts";

export type Env = Readonly<Record<string, string | undefined>>;

export interface Option<T = unknown> {
  readonly type: Type<T>;
  readonly default: T | ((env: Env) => T);
  /** The default in words, for one that depends on the machine. */
  readonly defaultDoc?: string;
  /** Stands in the example file in place of a default that depends on the machine. */
  readonly example?: T;
  /** Whole sentences for the operator; the first one says what it is and stands alone in help. */
  readonly doc: string;
  /** May hold a password between `//` and `@`, which is never printed. */
  readonly masked?: true;
  /** Never printed, and no flag: every process of a machine can read the arguments of the others. */
  readonly secret?: true;
}

export const option = <T>(option: Option<T>): Option<T> => option;

/** In ms. */
export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
