import type { Cluster, Redis } from "ioredis";

export type RedisClient = Redis | Cluster;
export type Argument = string | number;

/** Runs on `client` with the keys and arguments given; answers with the script's reply as ioredis decodes it. */
export type Script = (
  client: RedisClient,
  keys: readonly string[],
  args: readonly Argument[],
) => Promise<unknown>;

/**
 * A Lua script with a name, made of one or several texts. Sent as EVALSHA; a server that has not seen it yet (a new
 * one, or one that a failover made master) is sent the text.
 */
export function script(name: string, ...texts: readonly string[]): Script {
  const command = `script:${name}`;
  const lua = texts.join("\n");
  return (client, keys, args) => {
    const commands = client as unknown as Record<string, (...all: Argument[]) => Promise<unknown>>;
    if (!(command in commands)) client.defineCommand(command, { lua });
    return commands[command]!(keys.length, ...keys, ...args);
  };
}
