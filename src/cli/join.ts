/** `chatrandom join`: one node of a cluster, on a Redis that all its nodes share. */
import type { CommandModule } from "yargs";
import type { Caller } from "./caller.ts";
import { withOptions } from "./flags.ts";
import { serving } from "./serve.ts";

/** `ended` is told the exit code of a server that served. */
export const join = (caller: Caller, ended: (code: 0 | 1) => void): CommandModule => ({
  command: "join",
  describe: "Serve as one node of a cluster that shares a Redis",
  builder: (yargs) =>
    withOptions(yargs, caller.completing)
      .example("$0 join --redis redis://10.0.0.1", "Join the nodes that use this Redis")
      .example("$0 join --redis rediss://:password@redis.example:6380/1", "Over TLS, with a password")
      .example("$0 join --redis redis+sentinel://10.0.0.1:26379,10.0.0.2:26379/mymaster", "Behind Sentinels")
      .example("$0 join --redis redis+cluster://10.0.0.1:6379,10.0.0.2:6379", "In a Cluster")
      .epilogue("All nodes need the same link secret: CHATRANDOM_LINK_SECRET or link.secret in the file."),
  handler: serving("join", caller, ended),
});
