import { randomBytes } from "node:crypto";
import { REPORT_AFTER_END_MS } from "../protocol/limits.ts";
import type { Mode, Relaxation, Role } from "../protocol/messages.ts";
import { poolKeys } from "../redis/keys.ts";
import { script } from "../redis/scripts.ts";
import type { Argument, RedisClient, Script } from "../redis/scripts.ts";
import type { Find, Left, Match, Outcome, PassedOver } from "../session/match.ts";
import absentLua from "./lua/absent.lua";
import blockLua from "./lua/block.lua";
import censusLua from "./lua/census.lua";
import findLua from "./lua/find.lua";
import leaveLua from "./lua/leave.lua";
import openLua from "./lua/open.lua";
import poolLua from "./lua/pool.lua";
import reapLua from "./lua/reap.lua";
import renewLua from "./lua/renew.lua";
import restoreLua from "./lua/restore.lua";
import resumeLua from "./lua/resume.lua";
import retireLua from "./lua/retire.lua";
import type { Census, Counts, Holder, Matcher, Orphan, Restored, Resumed, Rules } from "./matcher.ts";
import { MOST_BLOCKS, MOST_PLACES, REAP_MOST } from "./rules.ts";

const open = script("open", poolLua, openLua);
const resume = script("resume", poolLua, resumeLua);
const restore = script("restore", poolLua, restoreLua);
const find = script("find", poolLua, findLua);
const absent = script("absent", poolLua, absentLua);
const leave = script("leave", poolLua, leaveLua);
const block = script("block", poolLua, blockLua);
const renew = script("renew", poolLua, renewLua);
const retire = script("retire", poolLua, retireLua);
const reap = script("reap", poolLua, reapLua);
const census = script("census", poolLua, censusLua);

export interface RedisMatcherOptions {
  /** Asked for its client at every call: a client that has ended for good is replaced. */
  redis: { readonly client: RedisClient };
  /** Before all keys, so that several appliances can share a Redis. */
  prefix: string;
  rules: Rules;
  /** Blocks of one device, the newest stay. 1,000 by default. */
  mostBlocks?: number;
  /** Sessions of one device that wait or are in a pair. 8 by default. */
  mostPlaces?: number;
  /** Milliseconds, for tests and simulation; nothing expires by the server's clock then. Redis's own by default. */
  now?: () => number;
  /** At least 128 random bits by default. */
  newPair?: () => string;
}

/** The matcher that runs: every method is one Lua script, whose header says what it takes and returns. */
export class RedisMatcher implements Matcher {
  readonly #redis: { readonly client: RedisClient };
  readonly #keys: readonly string[];
  readonly #rules: Rules;
  readonly #mostBlocks: number;
  readonly #mostPlaces: number;
  readonly #now: (() => number) | undefined;
  readonly #newPair: () => string;

  constructor(options: RedisMatcherOptions) {
    this.#redis = options.redis;
    this.#keys = [poolKeys(options.prefix)];
    this.#rules = options.rules;
    this.#mostBlocks = options.mostBlocks ?? MOST_BLOCKS;
    this.#mostPlaces = options.mostPlaces ?? MOST_PLACES;
    this.#now = options.now;
    this.#newPair = options.newPair ?? (() => randomBytes(18).toString("base64url"));
  }

  async open({ session, node, epoch, device }: Holder): Promise<void> {
    await this.#run(open, session, node, epoch, device);
  }

  async resume(session: string, node: string, here = false): ReturnType<Matcher["resume"]> {
    const reply = (await this.#run(resume, session, node, here ? "here" : "")) as ResumeReply | null;
    if (!reply) return null;
    const [epoch, device, previousNode, ...what] = reply;
    return { holder: { session, node, epoch, device }, previousNode, resumed: readResumed(what) };
  }

  async restore({ session, node, epoch, device }: Holder, match?: Match): ReturnType<Matcher["restore"]> {
    const pair = match
      ? [
          match.pair,
          match.mode,
          match.role,
          match.partner.session,
          match.common.interests.join("\n"),
          match.common.language ?? "",
        ]
      : ["", "", "", "", "", ""];
    const reply = await this.#run(restore, session, node, epoch, device, ...pair);
    const [restored, partnerNode, partnerEpoch] = reply as [Restored, string?, number?];
    return { restored, ...(partnerNode && { there: { node: partnerNode, epoch: partnerEpoch! } }) };
  }

  find(holder: Holder, wanted: Find, avoid?: readonly string[]): Promise<Outcome> {
    return this.#find(holder, wanted, "", avoid);
  }

  undo(holder: Holder, pair: string, wanted: Find, avoid?: readonly string[]): Promise<Outcome> {
    return this.#find(holder, wanted, pair, avoid);
  }

  async absent({ session, node, epoch }: Holder): Promise<void> {
    await this.#run(absent, session, node, epoch);
  }

  leave(holder: Holder): ReturnType<Matcher["leave"]> {
    return this.#leave(holder, "");
  }

  async block({ session, node, epoch }: Holder, pair: string): ReturnType<Matcher["block"]> {
    const limits = [this.#rules.blockFor, this.#mostBlocks, REPORT_AFTER_END_MS];
    const reply = await this.#run(block, session, node, epoch, pair, ...limits);
    if (!reply) return null;
    if (reply === "superseded") return reply;
    const [partnerDevice, ended] = reply as [string, LeftReply];
    const left = readLeft(ended);
    return { partnerDevice, ...(left && { left }) };
  }

  end(holder: Holder): ReturnType<Matcher["end"]> {
    return this.#leave(holder, "end");
  }

  async renew(node: string, counts: Counts): ReturnType<Matcher["renew"]> {
    const reply = await this.#run(renew, node, this.#rules.lease, counts.online, counts.waiting);
    const [since, online, waiting, nodes, dead] = reply as [string, number, number, string[], string[]];
    return { total: { online, waiting }, nodes, dead, heldSince: Number(since) };
  }

  async retire(node: string): Promise<void> {
    await this.#run(retire, node);
  }

  async reap(node: string): ReturnType<Matcher["reap"]> {
    const reply = (await this.#run(reap, node, this.#rules.grace, REAP_MOST)) as (string | number)[];
    const orphans: Orphan[] = [];
    for (let at = 1; at < reply.length; at += 4) {
      const [ended, pair, session, home] = reply.slice(at, at + 4) as [number, string, string, string];
      orphans.push({ pair, partner: { session, node: home }, ended: ended === 1 });
    }
    return { orphans, more: reply[0] === 1 };
  }

  async census(top: number): Promise<Census> {
    const found = new Map<string, number>();
    let reply: CensusReply;
    let cursor = "0";
    // A pool in which up to a hundred or so interests are wished is counted in one step, a larger one page by page.
    do {
      reply = (await this.#run(census, top, cursor)) as CensusReply;
      cursor = reply[3];
      for (let at = 0; at < reply[4].length; at += 2) {
        found.set(reply[4][at] as string, reply[4][at + 1] as number);
      }
      const best = [...found].sort(([a, x], [b, y]) => y - x || (a < b ? 1 : -1)).slice(0, top);
      found.clear();
      for (const [interest, waiting] of best) found.set(interest, waiting);
    } while (cursor !== "0");
    const [video, text, known] = reply;
    const nodes: Census["nodes"] = [];
    for (let at = 0; at < known.length; at += 4) {
      const [lease, online, waiting] = known.slice(at + 1, at + 4).map(Number) as [number, number, number];
      nodes.push({ node: String(known[at]), lease, online, waiting });
    }
    const interests = [...found].map(([interest, waiting]) => ({ interest, waiting }));
    return { waiting: { video: Number(video), text: Number(text) }, interests, nodes };
  }

  async #leave({ session, node, epoch }: Holder, how: "" | "end"): ReturnType<Matcher["leave"]> {
    const reply = await this.#run(leave, session, node, epoch, how);
    return reply === "superseded" ? reply : readLeft(reply as LeftReply);
  }

  async #find(
    holder: Holder,
    { wish, leaving, since }: Find,
    undoing: string,
    avoid: readonly string[] = [],
  ): Promise<Outcome> {
    const { interestsAfter, languagesAfter, recentAfter } = this.#rules;
    const reply = await this.#run(
      find,
      holder.session,
      holder.node,
      holder.epoch,
      holder.device,
      leaving ?? "",
      undoing,
      since ?? "",
      wish.mode,
      wish.interests.join("\n"),
      wish.languages.join("\n"),
      wish.strict ? 1 : "",
      interestsAfter,
      languagesAfter,
      recentAfter,
      this.#newPair(),
      avoid.join("\n"),
      this.#mostPlaces,
    );
    return readOutcome(reply as FindReply);
  }

  #run(run: Script, ...args: Argument[]): Promise<unknown> {
    const { recentFor, recentMost } = this.#rules;
    return run(this.#redis.client, this.#keys, [this.#now?.() ?? "", recentFor, recentMost, ...args]);
  }
}

// What the scripts answer, as their headers have it

type MatchReply = [
  pair: string,
  Mode,
  Role,
  session: string,
  node: string,
  epoch: number,
  shared: string[],
  language: string,
];
type LeftReply = [pair: string, session: string, node: string] | [];
type PassedReply = [device: number, blocked: number, recent: number, gone: number, unreachable: number];
type CensusReply = [
  video: string,
  text: string,
  nodes: (string | number)[],
  cursor: string,
  interests: (string | number)[],
];
type FindReply =
  | ["fenced" | "superseded" | "crowded"]
  | ["claimed", MatchReply]
  | ["matched", waited: number, partnerWaited: number, MatchReply, relaxed: number, LeftReply, PassedReply]
  | ["waiting", since: number, retryIn: number, relaxed: number, LeftReply, PassedReply];
type StateReply =
  | ["idle"]
  | ["waiting", since: number, Mode, interests: string[], languages: string[], strict: number]
  | ["paired", MatchReply];
type ResumeReply = [epoch: number, device: string, previousNode: string, ...StateReply];

function readOutcome(reply: FindReply): Outcome {
  switch (reply[0]) {
    case "matched": {
      const [kind, waited, partnerWaited, match, gave, left, passed] = reply;
      const relaxed = readRelaxed(gave);
      return { kind, match: readMatch(match), waited, partnerWaited, relaxed, ...readRest(left, passed) };
    }
    case "waiting": {
      const [kind, since, retryIn, relaxed, left, passed] = reply;
      return { kind, since, relaxed: readRelaxed(relaxed), retryIn, ...readRest(left, passed) };
    }
    case "claimed":
      return { kind: "claimed", match: readMatch(reply[1]) };
    default:
      return { kind: reply[0] };
  }
}

function readRest(ended: LeftReply, why: PassedReply): { left?: Left; passed: PassedOver } {
  const left = readLeft(ended);
  const [device, blocked, recent, gone, unreachable] = why;
  return { ...(left && { left }), passed: { device, blocked, recent, gone, unreachable } };
}

function readRelaxed(gave: number): Relaxation[] {
  const relaxed: Relaxation[] = [];
  if (gave & 1) relaxed.push("interests");
  if (gave & 2) relaxed.push("languages");
  if (gave & 4) relaxed.push("recent");
  return relaxed;
}

function readMatch([pair, mode, role, session, node, epoch, interests, language]: MatchReply): Match {
  const common = { interests, ...(language && { language }) };
  return { pair, mode, role, partner: { session, node, epoch }, common };
}

function readLeft([pair, session, node]: LeftReply): Left | undefined {
  return pair ? { pair, partner: { session: session!, node: node! } } : undefined;
}

function readResumed(what: StateReply): Resumed {
  if (what[0] === "idle") return { state: "idle" };
  if (what[0] === "paired") return { state: "paired", match: readMatch(what[1]) };
  const [state, since, mode, interests, languages, strict] = what;
  return { state, wish: { mode, interests, languages, strict: strict === 1 }, since };
}
