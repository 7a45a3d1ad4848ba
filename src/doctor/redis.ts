/** Redis: which one it is, how fast it answers, and whether it keeps what it is given. */
import { type Finding, fine, spelled, warning, wrong } from "./finding.ts";

/** What is asked of a client. */
export interface Askable {
  ping(): Promise<unknown>;
  time(): Promise<readonly (number | string)[]>;
  info(): Promise<string>;
}

export interface Measured {
  /** The answer to INFO. */
  readonly info: string;
  /** How long each question took, in ms. */
  readonly latencies: readonly number[];
  /** Its clock, in ms since the Unix epoch, and ours before and after it was asked. */
  readonly time: number;
  readonly asked: number;
  readonly answered: number;
}

const QUESTIONS = 20;

/** `clock` is monotonic, in ms. */
export async function measure(
  redis: Askable,
  clock: () => number,
  wallClock: () => number,
): Promise<Measured> {
  const latencies: number[] = [];
  for (let question = 0; question < QUESTIONS; question += 1) {
    const begun = clock();
    await redis.ping();
    latencies.push(clock() - begun);
  }
  const asked = wallClock();
  const [seconds, microseconds] = (await redis.time()).map(Number);
  const answered = wallClock();
  const info = await redis.info();
  return { info, latencies, time: seconds! * 1000 + microseconds! / 1000, asked, answered };
}

/** A search is a question or two, and half of all visitors wait for it. */
const SLOW_MS = 10;
const FULL = 0.9;

/** `where` holds no password. */
export function judgeRedis(
  { info, latencies }: Pick<Measured, "info" | "latencies">,
  where: string,
  embedded: boolean,
): Finding[] {
  const field = (name: string): string | undefined => new RegExp(`^${name}:(.*?)\\r?$`, "m").exec(info)?.[1];
  const valkey = field("valkey_version");
  const version = valkey ? `Valkey ${valkey}` : `Redis ${field("redis_version") ?? "of an unknown version"}`;
  const sorted = latencies.toSorted((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)]!;
  const speed = `answers in ${median < 10 ? median.toFixed(1) : Math.round(median)} ms, at most ${Math.ceil(sorted.at(-1)!)} ms`;
  const findings = [
    median > SLOW_MS
      ? warning(
          "redis",
          `${version} at ${where} ${speed}: every search waits for it`,
          `take a Redis that is nearer for ${spelled("redis")}`,
        )
      : fine("redis", `${version} at ${where} ${speed}`),
  ];
  const most = Number(field("maxmemory") ?? 0);
  const used = Number(field("used_memory") ?? 0);
  const policy = field("maxmemory_policy") ?? "noeviction";
  if (most > 0 && used > most * FULL)
    findings.push(
      wrong(
        "redis memory",
        `${Math.round((used / most) * 100)} % of what it may take is used; when it is full, nobody is matched`,
        embedded ? `raise ${spelled("embedded.max_memory")}` : "raise maxmemory of the Redis server",
      ),
    );
  if (policy !== "noeviction" && most > 0)
    findings.push(
      wrong(
        "redis memory",
        `it throws keys out when it is full (${policy}): visitors and blocks would vanish`,
        "set maxmemory-policy noeviction in the configuration of the Redis server",
      ),
    );
  return findings;
}
