/**
 * What a find costs, in pools of several sizes: finds a second, the script's own time in the server (p50, p99), the
 * server's CPU a find, and memory a ticket. Real scripts, a real server for each pool. The pools are measured in turn,
 * many times over, and medians printed, since whatever else the machine does would else favour one of them.
 *
 * A large pool holds only tickets that fit nobody in it, since those that fit are gone: here each insists on interests
 * of its own, a third of them for ever (strict), two thirds with languages as well. The finds that are timed:
 *   fits     a newcomer who shares an interest with one of the waiting, then both press Next and go back to waiting
 *   open     two newcomers without preferences, who take each other
 *   changes  a ticket of the pool that changes its interests to others that nobody has
 *   again    a ticket of the pool that asks again, as nodes do when something may have given way
 *   wide     a newcomer with 10 interests and 5 languages who shares none of them, and goes again
 *   crowd    a ticket of a crowd that must not meet: 8 devices that have blocked each other, each with all its places,
 *            who all wish the same 10 interests and 5 languages; it asks again, passes over as many as it may, in vain
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Redis } from "ioredis";
import type { Holder } from "../../src/matching/matcher.ts";
import { RedisMatcher } from "../../src/matching/redis-matcher.ts";
import { DEFAULT_RULES, MOST_PLACES } from "../../src/matching/rules.ts";
import { startTestRedis } from "../../src/redis/test-server.ts";
import type { Match, Outcome, Wish } from "../../src/session/match.ts";

const HELP = `npm run bench:matching -- [--pools 100,10000,1000000] [--rounds 20] [--finds 5000] [--at-once 16]
                           [--kinds fits,open,changes,again,wide,crowd]
  --pools    how many tickets wait
  --rounds   how often each pool is measured
  --finds    how many finds one of these measurements times, at least
  --at-once  how many are under way at a time
  --kinds    which finds are timed, in equal shares`;

const { values: options } = parseArgs({
  options: {
    pools: { type: "string", default: "100,10000,1000000" },
    rounds: { type: "string", default: "20" },
    finds: { type: "string", default: "5000" },
    "at-once": { type: "string", default: "16" },
    kinds: { type: "string", default: "fits,open,changes,again,wide,crowd" },
    help: { type: "boolean" },
  },
});

const KINDS = options.kinds.split(",");
/** No node holds more than some ten thousand connections. */
const NODES = 50;
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

/** The widest wish there is; nobody else's shares anything with it. */
const wideWish = (of: string): Wish => ({
  mode: "video",
  interests: Array.from({ length: 10 }, (_, n) => `interest ${n} of ${of}`),
  languages: ["da", "fi", "nl", "pl", "sv"],
  strict: false,
});
/** For ever, or others would come in between. */
const CROWD_WISH: Wish = { ...wideWish("a crowd"), strict: true };
const CROWD_DEVICES = 8;
const CROWD = CROWD_DEVICES * MOST_PLACES;

/** What one measurement of one pool found. Times in µs. */
interface Measurement {
  rate: number;
  p50: number;
  p99: number;
  cpu: number;
}

class Pool {
  readonly size: number;
  readonly #redis: Redis;
  readonly #matcher: RedisMatcher;
  /** Counts the changes of each ticket's wish. */
  readonly #versions = new Map<number, number>();
  #newcomers = 0;
  #steps = 0;
  #finds = 0;

  constructor(redis: Redis, size: number) {
    this.#redis = redis;
    this.size = size;
    const rules = { ...DEFAULT_RULES, lease: 24 * 3_600_000 };
    this.#matcher = new RedisMatcher({ redis: { client: redis }, prefix: "bench:", rules });
  }

  /** Fills the pool. Answers with how many bytes a ticket takes. */
  async fill(): Promise<number> {
    for (let n = 0; n < NODES; n++) await this.#matcher.renew(`node ${n}`, { online: 0, waiting: 0 });
    const before = await this.#memory();
    await inParallel(this.size, 200, async (ticket) => {
      await this.#find(`ticket ${ticket}`, wishOf(ticket));
    });
    const { waiting } = await this.#matcher.census(1);
    if (waiting.video + waiting.text !== this.size) throw new Error("tickets of the pool matched each other");
    const bytes = ((await this.#memory()) - before) / this.size;
    await this.#gather();
    return bytes;
  }

  /** Brings the crowd together, after each two of its devices have met and blocked. */
  async #gather(): Promise<void> {
    for (let a = 0; a < CROWD_DEVICES; a++) {
      for (let b = 0; b < a; b++) {
        const wish = { ...wideWish(`${a} and ${b}`), strict: true };
        await this.#find(`meeting ${a}`, wish, undefined, `crowd ${a}`);
        const { pair } = matched(await this.#find(`met ${b}`, wish, undefined, `crowd ${b}`));
        await this.#matcher.block(this.#holder(`met ${b}`, `crowd ${b}`), pair);
      }
    }
    for (let n = 0; n < CROWD_DEVICES; n++) {
      await this.#matcher.end(this.#holder(`meeting ${n}`, `crowd ${n}`));
      await this.#matcher.end(this.#holder(`met ${n}`, `crowd ${n}`));
    }
    for (let n = 0; n < CROWD; n++) await this.#ofCrowd(n);
  }

  async #ofCrowd(n: number): Promise<void> {
    const device = `crowd ${n % CROWD_DEVICES}`;
    const { kind } = await this.#find(`crowding ${n}`, CROWD_WISH, undefined, device);
    if (kind !== "waiting") throw new Error(`the crowd must not meet, but got ${kind}`);
  }

  /** Times some finds, of all kinds. */
  async measure(finds: number, atOnce: number): Promise<Measurement> {
    this.#finds = 0;
    await this.#redis.config("RESETSTAT");
    const [started, startedCpu] = [performance.now(), await this.#cpu()];
    // Each kind has tickets of its own: those that ask again in time accept anybody, and are gone for the others.
    const share = Math.floor(this.size / KINDS.length);
    await inParallel(Math.ceil(finds / 1.5), Math.min(atOnce, share), async () => {
      const [step, kind] = [this.#steps, this.#steps++ % KINDS.length];
      // Strided, so that neighbours in time are no neighbours in the pool, and no ticket is asked for twice at a time.
      const ticket = kind + KINDS.length * ((Math.floor(step / KINDS.length) * 61) % share);
      await this.#once(KINDS[kind]!, ticket, step);
    });
    const [seconds, cpu] = [(performance.now() - started) / 1_000, (await this.#cpu()) - startedCpu];
    const info = await this.#redis.info("latencystats");
    return {
      rate: this.#finds / seconds,
      p50: field(info, /percentiles_usec_evalsha:p50=([\d.]+)/),
      p99: field(info, /percentiles_usec_evalsha:.*p99=([\d.]+)/),
      cpu: (cpu / this.#finds) * 1e6,
    };
  }

  /** One of the kinds above, with a ticket of the pool that no other call has at the time. */
  async #once(kind: string, ticket: number, step: number): Promise<void> {
    const version = this.#versions.get(ticket) ?? 0;
    const session = `ticket ${ticket}`;
    const wish = wishOf(ticket, version);
    switch (kind) {
      case "fits": {
        const newcomer = `newcomer ${this.#newcomers++}`;
        const pair = matched(await this.#find(newcomer, { ...wish, strict: false })).pair;
        await this.#find(session, wish, pair);
        await this.#find(newcomer, wishOf(-this.#newcomers), pair);
        return;
      }
      case "open":
        await this.#find(`newcomer ${this.#newcomers++}`, { ...wish, interests: [], languages: [] });
        return;
      case "changes":
        this.#versions.set(ticket, version + 1);
        await this.#find(session, wishOf(ticket, version + 1));
        return;
      case "again":
        await this.#find(session, wish);
        return;
      case "wide": {
        const newcomer = `newcomer ${this.#newcomers++}`;
        await this.#find(newcomer, wideWish(newcomer));
        await this.#matcher.end(this.#holder(newcomer));
        return;
      }
      case "crowd":
        await this.#ofCrowd(step % CROWD);
        return;
      default:
        throw new Error(`there is no kind ${kind}`);
    }
  }

  async #find(session: string, wish: Wish, leaving?: string, device?: string): Promise<Outcome> {
    this.#finds++;
    return this.#matcher.find(this.#holder(session, device), { wish, leaving });
  }

  /** The number in the session's name says where it lives. */
  #holder(session: string, device = `device of ${session}`): Holder {
    const node = `node ${Number(session.split(" ")[1]) % NODES}`;
    return { session, node, epoch: 1, device };
  }

  async #cpu(): Promise<number> {
    const info = await this.#redis.info("cpu");
    return field(info, /^used_cpu_user:([\d.]+)/m) + field(info, /^used_cpu_sys:([\d.]+)/m);
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

const median = (numbers: number[]): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!;

async function run(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "chatrandom-bench-"));
  const stop: (() => Promise<unknown>)[] = [async () => rmSync(directory, { recursive: true })];
  try {
    const pools: { pool: Pool; bytes: number; found: Measurement[] }[] = [];
    for (const size of options.pools.split(",").map(Number)) {
      const path = join(directory, `${size}.sock`);
      const server = await startTestRedis(["--unixsocket", path, "--save", "", "--appendonly", "no"]);
      const redis = new Redis({ path });
      stop.push(async () => {
        redis.disconnect();
        await server.stop();
      });
      const pool = new Pool(redis, size);
      pools.push({ pool, bytes: await pool.fill(), found: [] });
    }
    for (let round = 0; round < Number(options.rounds); round++) {
      for (const { pool, found } of pools) {
        found.push(await pool.measure(Number(options.finds), Number(options["at-once"])));
      }
    }
    console.log(
      "| waiting | finds/s | of the first | script p50 µs | p99 µs | server CPU µs | bytes a ticket |",
    );
    console.log(`|${" --- |".repeat(7)}`);
    const rate = (found: Measurement[]) => median(found.map((one) => one.rate));
    for (const { pool, bytes, found } of pools) {
      const cells = [
        pool.size.toLocaleString("en"),
        Math.round(rate(found)).toLocaleString("en"),
        `${Math.round((100 * rate(found)) / rate(pools[0]!.found))} %`,
        median(found.map((one) => one.p50)).toFixed(0),
        median(found.map((one) => one.p99)).toFixed(0),
        median(found.map((one) => one.cpu)).toFixed(0),
        bytes.toFixed(0),
      ];
      console.log(`| ${cells.join(" | ")} |`);
    }
  } finally {
    for (const end of stop.toReversed()) await end();
  }
}

if (options.help) console.log(HELP);
else await run();
