/** Which servers will do: what they say of themselves is checked before they are used. */
import { Cluster } from "ioredis";
import type { RedisAddress } from "./address.ts";
import type { RedisClient } from "./scripts.ts";

/** The oldest whose scripts do what ours need. */
const OLDEST = { Redis: [6, 2], Valkey: [7, 2] } as const;

/**
 * Asks every server that takes writes; `readsOnly`: a replica will do. One that will not say what it is is taken as it is.
 * @throws Error with a message for people when one is too old, or of another kind than the address says
 */
export async function requireServer(
  client: RedisClient,
  address: RedisAddress,
  readsOnly: boolean,
): Promise<void> {
  const servers = client instanceof Cluster ? client.nodes("master") : [client];
  const told = servers.flatMap((server) =>
    ["server", "replication"].map((section) => server.info(section).catch(() => "")),
  );
  for (const info of await Promise.all(told)) requireInfo(info, address.kind, readsOnly);
}

function requireInfo(info: string, kind: RedisAddress["kind"], readsOnly: boolean): void {
  const field = (name: string): string | undefined => new RegExp(`^${name}:(.*?)\\r?$`, "m").exec(info)?.[1];

  // Valkey says under this name with which Redis it is compatible, and what it is itself under its own.
  const [name, version] = field("valkey_version")
    ? (["Valkey", field("valkey_version")] as const)
    : (["Redis", field("redis_version")] as const);
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(version ?? "")?.map(Number) ?? [];
  if (major !== undefined && minor !== undefined) {
    const oldest = OLDEST[name];
    if (major < oldest[0] || (major === oldest[0] && minor < oldest[1])) {
      throw new Error(
        `${name} is version ${version!.slice(0, 20)}, which is too old: ` +
          `Redis ${OLDEST.Redis.join(".")}, Valkey ${OLDEST.Valkey.join(".")} or newer is needed`,
      );
    }
  }
  // Valkey has renamed it.
  const mode = field("server_mode") ?? field("redis_mode");
  if (mode === "sentinel")
    throw new Error("this is a Sentinel and no Redis: write redis+sentinel://host:port/name");
  if (mode === "cluster" && kind !== "cluster")
    throw new Error("this Redis is a server of a Cluster: write redis+cluster:// instead of redis://");
  if (!readsOnly && field("role") === "slave" && (kind === "single" || kind === "socket"))
    throw new Error(
      "this Redis is a replica and takes no writes: name its master, or its Sentinels with redis+sentinel://",
    );
}
