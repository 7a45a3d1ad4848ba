/** What a node needs to be one of a cluster. */
import type { Config } from "../config/options.ts";
import { Failure } from "../failure.ts";
import { MIN_SECRET_CHARACTERS } from "./keys.ts";

/** @throws Failure when the configuration lacks something */
export function requireCluster({ redis, link }: Config): void {
  if (redis === "") {
    throw new Failure(
      "join needs the Redis that the nodes share: give it with --redis, or use chatrandom serve",
      2,
    );
  }
  if (link.secret.length < MIN_SECRET_CHARACTERS) {
    throw new Failure(
      `join needs the cluster's link secret, at least ${MIN_SECRET_CHARACTERS} characters and the same on all nodes: ` +
        "set CHATRANDOM_LINK_SECRET or link.secret in the config file. openssl rand -hex 32 makes one.",
      2,
    );
  }
}
