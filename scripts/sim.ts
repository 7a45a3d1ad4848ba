/**
 * Plays a day of visitors through the real matcher on a real server in simulated time, beside a plain queue (FIFO) and
 * exact buckets, for communities of 2 to 500,000, and prints what they would have met. `--help` names the options.
 * The assumptions stand in `sim/visitors.ts`.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Redis } from "ioredis";
import { RedisMatcher } from "../src/matching/redis-matcher.ts";
import { DEFAULT_RULES } from "../src/matching/rules.ts";
import { startTestRedis } from "../src/redis/test-server.ts";
import { play } from "./sim/day.ts";
import type { Clock, Findings } from "./sim/day.ts";
import { percentile, plot } from "./sim/plot.ts";
import type { Series } from "./sim/plot.ts";
import { exactBuckets, fifo, ours } from "./sim/policies.ts";
import type { Policy } from "./sim/policies.ts";
import { COMMUNITIES, wholeDay } from "./sim/visitors.ts";

const HELP = `npm run sim -- [--communities 2,5,50,5000,500000] [--policies ours,fifo,buckets] [--seed 1] [--svg FILE]
               [--whole-day]
               [--interests-after 5] [--languages-after 10] [--recent-after 10]
  --communities  how many visitors; each of these five
  --policies     how partners are found
  --whole-day    plays a whole day of the 500,000 too, instead of half an hour; takes an hour or more
  --svg          writes a plot of the waiting times
  --…-after      seconds until that preference gives way`;

const { values: options } = parseArgs({
  options: {
    communities: { type: "string", default: COMMUNITIES.map(({ visitors }) => visitors).join() },
    policies: { type: "string", default: "ours,fifo,buckets" },
    seed: { type: "string", default: "1" },
    svg: { type: "string" },
    "whole-day": { type: "boolean", default: false },
    "interests-after": { type: "string", default: String(DEFAULT_RULES.interestsAfter / 1_000) },
    "languages-after": { type: "string", default: String(DEFAULT_RULES.languagesAfter / 1_000) },
    "recent-after": { type: "string", default: String(DEFAULT_RULES.recentAfter / 1_000) },
    help: { type: "boolean" },
  },
});

const seconds = (ms: number): string => (ms / 1_000).toFixed(ms < 10_000 ? 1 : 0);
const percent = (part: number, of: number): string =>
  of === 0 ? "–" : `${((100 * part) / of).toFixed(1)} %`;

function row({ community, policy, findings }: Series): string[] {
  const { waits, longest, matches, rematches, sharing, couldShare, gaveUp } = findings;
  const [p50, p95, p99] = [0.5, 0.95, 0.99].map((part) => percentile(waits, part));
  const fairness = (waits.at(-1) ?? 0) / Math.max(p50!, 1_000);
  return [
    community,
    policy,
    String(matches),
    seconds(p50!),
    seconds(p95!),
    seconds(p99!),
    percent(gaveUp, waits.length),
    percent(rematches, matches),
    percent(sharing, matches),
    percent(sharing, couldShare),
    fairness.toFixed(0),
    seconds(longest),
  ];
}

const HEADINGS = [
  "visitors",
  "policy",
  "matches",
  "wait p50 s",
  "p95 s",
  "p99 s",
  "gave up",
  "rematches",
  "share an interest",
  "of those who could",
  "longest/median",
  "longest s, not strict",
];

async function run(redis: Redis): Promise<void> {
  const rules = {
    ...DEFAULT_RULES,
    interestsAfter: 1_000 * Number(options["interests-after"]),
    languagesAfter: 1_000 * Number(options["languages-after"]),
    recentAfter: 1_000 * Number(options["recent-after"]),
    // One node lives through all the simulated days.
    lease: 1e12,
  };
  const wanted = options.communities.split(",").map(Number);
  const all: Series[] = [];
  console.log(`| ${HEADINGS.join(" | ")} |\n|${" --- |".repeat(HEADINGS.length)}`);
  const communities = options["whole-day"] ? COMMUNITIES.map(wholeDay) : COMMUNITIES;
  for (const community of communities.filter(({ visitors }) => wanted.includes(visitors))) {
    for (const policy of options.policies.split(",")) {
      const clock: Clock = { now: 0 };
      const findings: Findings = await play(
        community,
        await policyOf(policy, redis, rules, clock),
        clock,
        Number(options.seed),
      );
      const series = { community: community.visitors.toLocaleString("en"), policy, findings };
      all.push(series);
      console.log(`| ${row(series).join(" | ")} |`);
    }
  }
  if (options.svg) writeFileSync(options.svg, plot(all));
}

async function policyOf(
  name: string,
  redis: Redis,
  rules: typeof DEFAULT_RULES,
  clock: Clock,
): Promise<Policy> {
  if (name === "fifo") return fifo();
  if (name === "buckets") return exactBuckets();
  await redis.flushall("SYNC");
  const matcher = new RedisMatcher({ redis: { client: redis }, prefix: "sim:", rules, now: () => clock.now });
  await matcher.renew("sim", { online: 0, waiting: 0 });
  return ours(matcher);
}

if (options.help) {
  console.log(HELP);
} else {
  const server = await startTestRedis();
  const redis = new Redis(server.url);
  try {
    await run(redis);
  } finally {
    redis.disconnect();
    await server.stop();
  }
}
