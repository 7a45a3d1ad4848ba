/**
 * What a find costs, in pools of several sizes: finds a second, the script's own time in the server (p50, p99), the
 * server's CPU a find, and memory a ticket. Real scripts on a real server; run it alone. `--help` names the options.
 *
 * A large pool holds only tickets that fit nobody in it, since those that fit are gone: here each insists on interests
 * of its own, a third of them for ever (strict), two thirds with languages as well. The finds that are timed:
 *   fits     a newcomer who shares an interest with one of the waiting, then both press Next and go back to waiting
 *   open     two newcomers without preferences, who take each other
 *   changes  a ticket of the pool that changes its interests to others that nobody has
 *   again    a ticket of the pool that asks again, as nodes do when something may have given way
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Redis } from "ioredis";
import { RedisMatcher } from "../../src/matching/redis-matcher.ts";
import { DEFAULT_RULES } from "../../src/matching/rules.ts";
import { startTestRedis } from "../../src/redis/test-server.ts";
import type { Match, Outcome, Wish } from "../../src/session/match.ts";

const HELP = `npm run bench:matching -- [--pools 100,10000,1000000] [--finds 100000] [--at-once 16]
  --pools    how many tickets wait
  --finds    how many finds are timed, at least
  --at-once  how many are under way at a time`;

const { values: options } = parseArgs({
  options: {
    pools: { type: "string", default: "100,10000,1000000" },
    finds: { type: "string", default: "100000" },
    "at-once": { type: "string", default: "16" },
    help: { type: "boolean" },
  },
});

const NODE = "bench";
const LANGUAGES = ["en", "es", "fr", "de", "pt", "it", "ja", "zh", "ar", "hi"];

/** The wish of a ticket of the pool; `version` makes another one of the same kind. */
function wishOf(ticket: number, version = 0): Wish {
  const interests = Array.from(
    { length: 1 + (ticket % 3) },
    (_, n) => `interest ${n} of ${ticket}.${version}`,
  );
  const languages = ticket % 3 === 1 ? [] : [LANGUAGES[ticket % 10]!, LANGUAGES[(ticket + 3) % 10]!];
  return {
    mode: ticket % 4 === 0 ? "text" : "video",
    interests,
    languages,
    strict: Math.floor(ticket / 3) % 3 === 0,
  };
}

class Bench {
  readonly #redis: Redis;
  readonly #matcher: RedisMatcher;
  readonly #size: number;
  /** Counts the changes of each ticket's wish. */
  readonly #versions = new Map<number, number>();
  #newcomers = 0;
  finds = 0;

  constructor(redis: Redis, size: number) {
    this.#redis = redis;
    this.#size = size;
    const rules = { ...DEFAULT_RULES, lease: 24 * 3_600_000 };
    this.#matcher = new RedisMatcher({ redis: { client: redis }, prefix: "bench:", rules });
  }

  /** Fills the pool. Answers with how many bytes a ticket takes. */
  async fill(): Promise<number> {
    await this.#redis.flushall("SYNC");
    await this.#matcher.renew(NODE, { online: 0, waiting: 0 });
    const before = await this.#memory();
    await inParallel(this.#size, 200, async (ticket) => {
      await this.#find(`ticket ${ticket}`, wishOf(ticket));
    });
    const { waiting } = await this.#matcher.census(1);
    if (waiting.video + waiting.text !== this.#size)
      throw new Error("tickets of the pool matched each other");
    return ((await this.#memory()) - before) / this.#size;
  }

  /** One of the kinds above, with a ticket of the pool that no other call has at the time. */
  async once(kind: number, ticket: number): Promise<void> {
    const version = this.#versions.get(ticket) ?? 0;
    const session = `ticket ${ticket}`;
    const wish = wishOf(ticket, version);
    switch (kind) {
      case 0: {
        const newcomer = `newcomer ${this.#newcomers++}`;
        const pair = matched(await this.#find(newcomer, { ...wish, strict: false })).pair;
        await this.#find(session, wish, pair);
        await this.#find(newcomer, wishOf(-this.#newcomers), pair);
        return;
      }
      case 1:
        await this.#find(`newcomer ${this.#newcomers++}`, { ...wish, interests: [], languages: [] });
        return;
      case 2:
        this.#versions.set(ticket, version + 1);
        await this.#find(session, wishOf(ticket, version + 1));
        return;
      default:
        await this.#find(session, wish);
    }
  }

  async #find(session: string, wish: Wish, leaving?: string): Promise<Outcome> {
    this.finds++;
    const self = { session, node: NODE, epoch: 1, device: `device of ${session}` };
    return this.#matcher.find(self, { wish, leaving });
  }

  async #memory(): Promise<number> {
    return field(await this.#redis.info("memory"), /^used_memory:(\d+)/m);
  }
}

function matched(outcome: Outcome): Match {
  if (outcome.kind !== "matched") throw new Error(`expected a match, but got ${outcome.kind}`);
  return outcome.match;
}

function field(info: string, pattern: RegExp): number {
  const found = pattern.exec(info);
  if (!found) throw new Error(`the server says nothing of ${pattern.source}`);
  return Number(found[1]);
}

/** Calls `run` for 0 … `count` - 1, `width` of them at a time. */
async function inParallel(count: number, width: number, run: (n: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await run(next++);
  };
  await Promise.all(Array.from({ length: Math.min(width, count) }, worker));
}

async function cpu(redis: Redis): Promise<number> {
  const info = await redis.info("cpu");
  return field(info, /^used_cpu_user:([\d.]+)/m) + field(info, /^used_cpu_sys:([\d.]+)/m);
}

async function measure(redis: Redis, size: number): Promise<string[]> {
  const bench = new Bench(redis, size);
  const bytes = await bench.fill();
  const atOnce = Number(options["at-once"]);
  const steps = Math.ceil(Number(options.finds) / 1.5);
  bench.finds = 0;
  await redis.config("RESETSTAT");
  const [started, startedCpu] = [performance.now(), await cpu(redis)];
  // Strided, so that neighbours in time are no neighbours in the pool, and no ticket is asked for twice at a time.
  await inParallel(steps, Math.min(atOnce, size), (n) => bench.once(n % 4, (n * 61) % size));
  const [seconds, usedCpu] = [(performance.now() - started) / 1_000, (await cpu(redis)) - startedCpu];
  const info = await redis.info("latencystats");
  return [
    size.toLocaleString("en"),
    Math.round(bench.finds / seconds).toLocaleString("en"),
    field(info, /percentiles_usec_evalsha:p50=([\d.]+)/).toFixed(0),
    field(info, /percentiles_usec_evalsha:.*p99=([\d.]+)/).toFixed(0),
    ((usedCpu / bench.finds) * 1e6).toFixed(1),
    bytes.toFixed(0),
  ];
}

if (options.help) {
  console.log(HELP);
} else {
  const directory = mkdtempSync(join(tmpdir(), "chatrandom-bench-"));
  const path = join(directory, "r.sock");
  const server = await startTestRedis(["--unixsocket", path, "--save", "", "--appendonly", "no"]);
  const redis = new Redis({ path });
  try {
    console.log("waiting | finds/s | script p50 µs | script p99 µs | server CPU µs a find | bytes a ticket");
    for (const size of options.pools.split(",").map(Number)) {
      console.log((await measure(redis, size)).join(" | "));
    }
  } finally {
    redis.disconnect();
    await server.stop();
    rmSync(directory, { recursive: true });
  }
}
