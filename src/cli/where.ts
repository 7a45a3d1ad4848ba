/** Which place a command looks into: that of `serve` on this machine, or a cluster. */
import { loadConfig } from "../config/load.ts";
import type { Env } from "../config/options.ts";
import type { Where } from "../store-of.ts";
import { WrongUse } from "./wrong-use.ts";

/** The options that say it. */
export const WHERE = ["redis", "data_dir"] as const;

export function whereOf(flags: Record<string, string[]>, env: Env): Where {
  if (flags.redis && flags["data-dir"])
    throw new WrongUse("--redis is for a cluster and --data-dir for chatrandom serve: give one of them");
  const { config } = loadConfig({ flags, env, files: true });
  const byRedis = config.redis !== "" && !flags["data-dir"];
  return byRedis ? { redis: config.redis } : { dataDir: config.data_dir };
}
