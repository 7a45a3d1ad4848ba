/** How Redis is named: one server, a set of servers watched by Sentinels, or a Cluster. Nothing here connects. */

export interface RedisHost {
  host: string;
  port: number;
}

interface Reached {
  tls: boolean;
  /** For the Redis servers, in all kinds. */
  username?: string;
  password?: string;
}

export type RedisAddress =
  | { kind: "socket"; path: string }
  | ({ kind: "single"; hosts: [RedisHost]; db: number } & Reached)
  | ({
      kind: "sentinel";
      /** The Sentinels; they say where the master is. */
      hosts: RedisHost[];
      /** What the Sentinels call the master. */
      name: string;
      db: number;
      sentinelUsername?: string;
      /** The Redis servers' own unless it is given: a Sentinel without a password takes any. */
      sentinelPassword?: string;
    } & Reached)
  | ({ kind: "cluster"; hosts: RedisHost[] } & Reached);

/** Completes the sentence "must be …", for the operator. */
export const REDIS_ADDRESS =
  'an address such as "redis://:password@10.0.0.1:6379/0", "redis+sentinel://h1:26379,h2:26379/name", ' +
  '"redis+cluster://h1:6379,h2:6379", each also with rediss for TLS, or the path of a socket';

const SHAPE =
  /^(?<scheme>rediss?)(?:\+(?<kind>sentinel|cluster))?:\/\/(?:(?<who>[^/?#]*)@)?(?<hosts>[^/?#@]*)(?:\/(?<path>[^?#]*))?(?:\?(?<query>[^#]*))?$/;

/** @throws Error that says what is wrong with `target`, and never holds any of it that may be secret */
export function parseRedisAddress(target: string): RedisAddress {
  if (/^\.?\//.test(target)) return { kind: "socket", path: target };
  const found = SHAPE.exec(target)?.groups;
  if (!found) {
    const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(target)?.[1];
    if (scheme === undefined || /^rediss?(\+(sentinel|cluster))?$/.test(scheme))
      throw wrong("is neither a URL such as redis://host:6379 nor the path of a socket");
    throw wrong(`begins with ${scheme}://, but must begin with redis:// or rediss://`);
  }
  const { kind = "single", who, path = "" } = found;
  const query = new URLSearchParams(found["query"] ?? "");
  const port = kind === "sentinel" ? 26_379 : 6_379;
  const hosts = found["hosts"]!.split(",").map((text) => readHost(text, port, kind === "single"));
  const reached: Reached = { tls: found["scheme"] === "rediss", ...readWho(who) };
  const known = kind === "sentinel" ? ["db", "sentinel_user", "sentinel_password"] : [];
  for (const name of query.keys()) {
    if (!known.includes(name)) throw wrong(`must not have ${JSON.stringify(name.slice(0, 30))} behind the ?`);
  }

  switch (kind) {
    case "sentinel": {
      const name = decode(path);
      if (name === "" || name.includes("/"))
        throw wrong("must end in what the Sentinels call the master, such as /mymaster");
      const user = query.get("sentinel_user");
      const password = query.get("sentinel_password") ?? reached.password;
      return {
        kind,
        hosts,
        name,
        db: readDatabase(query.get("db") ?? ""),
        ...reached,
        ...(user && { sentinelUsername: user }),
        ...(password && { sentinelPassword: password }),
      };
    }
    case "cluster":
      if (path !== "") throw wrong("of a Cluster must have no path: a Cluster has one database");
      return { kind, hosts, ...reached };
    default:
      if (hosts.length > 1)
        throw wrong("names several hosts: write redis+sentinel:// or redis+cluster:// for those");
      return { kind: "single", hosts: [hosts[0]!], db: readDatabase(path), ...reached };
  }
}

/** An address as it may be shown. Rather hides too much than too little of one that is wrong. */
export const withoutPassword = (target: string): string =>
  target.replace(/(?<=:\/\/)\S*(?=@)/, "***").replace(/(?<=[?&]sentinel_(?:user|password)=)[^&\s"]*/g, "***");

const wrong = (problem: string): Error => new Error(`the Redis address ${problem}`);

function readHost(text: string, port: number, optional: boolean): RedisHost {
  if (text === "" && optional) return { host: "127.0.0.1", port };
  const url = URL.canParse(`redis://${text}`) ? new URL(`redis://${text}`) : undefined;
  if (!url?.hostname)
    throw wrong("has a host that cannot be read: it must be like 10.0.0.1:6379 or [::1]:6379");
  return { host: url.hostname.replace(/^\[|\]$/g, ""), port: url.port ? Number(url.port) : port };
}

function readWho(who: string | undefined): Pick<Reached, "username" | "password"> {
  if (!who) return {};
  // Else each host could seem to have a password of its own, and most of it would be taken for that of the first.
  if (who.includes("@")) throw wrong("has an @ in its user or password: write %40 for it");
  const colon = who.indexOf(":");
  const [user, password] = colon === -1 ? [who, ""] : [who.slice(0, colon), who.slice(colon + 1)];
  return { ...(user && { username: decode(user) }), ...(password && { password: decode(password) }) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw wrong("has a % that begins no character: write %25 for it");
  }
}

function readDatabase(text: string): number {
  if (!/^\d{0,5}$/.test(text)) throw wrong("must name its database by a number");
  return Number(text);
}
