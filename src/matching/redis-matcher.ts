import { randomBytes } from "node:crypto";
import { REPORT_AFTER_END_MS } from "../protocol/limits.ts";
import type { Mode, Relaxation, Role } from "../protocol/messages.ts";
import { poolKeys } from "../redis/keys.ts";
import { script } from "../redis/scripts.ts";
import type { Argument, RedisClient, Script } from "../redis/scripts.ts";
import type { Find, Left, Match, Outcome, PassedOver, Wish } from "../session/match.ts";
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
import { MOST_BLOCKS } from "./rules.ts";

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

/** How many sessions of a dead node one call deals with; keeps each well under a millisecond. */
const REAP_MOST = 50;

export interface RedisMatcherOptions {
  /** Asked for its client at every call: a client that has ended for good is replaced. */
  redis: { readonly client: RedisClient };
  /** Before all keys, so that several appliances can share a Redis. */
  prefix: string;
  rules: Rules;
  /** Blocks of one device, the newest stay. 1,000 by default. */
  mostBlocks?: number;
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
  readonly #now: (() => number) | undefined;
  readonly #newPair: () => string;

  constructor(options: RedisMatcherOptions) {
    this.#redis = options.redis;
    this.#keys = [poolKeys(options.prefix)];
    this.#rules = options.rules;
    this.#mostBlocks = options.mostBlocks ?? MOST_BLOCKS;
    this.#now = options.now;
    this.#newPair = options.newPair ?? (() => randomBytes(18).toString("base64url"));
  }

  async open({ session, node, epoch, device }: Holder): Promise<void> {
    await this.#run(open, session, node, epoch, device);
  }

  async resume(session: string, node: string): ReturnType<Matcher["resume"]> {
    const reply = (await this.#run(resume, session, node)) as string[] | null;
    if (!reply) return null;
    const [epoch, device, previousNode, state, ...rest] = reply as [string, string, string, string];
    const holder: Holder = { session, node, epoch: Number(epoch), device };
    return { holder, previousNode, resumed: readResumed(state, rest) };
  }

  async restore({ session, node, epoch, device }: Holder, match?: Match): Promise<Restored> {
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
    return (await this.#run(restore, session, node, epoch, device, ...pair)) as Restored;
  }

  find(holder: Holder, wanted: Find): Promise<Outcome> {
    return this.#find(holder, wanted, "");
  }

  undo(holder: Holder, pair: string, wanted: Find): Promise<Outcome> {
    return this.#find(holder, wanted, pair);
  }

  async absent({ session, node, epoch }: Holder): Promise<void> {
    await this.#run(absent, session, node, epoch);
  }

  async leave({ session, node, epoch }: Holder): Promise<Left | undefined> {
    return readLeft((await this.#run(leave, session, node, epoch, "")) as string[]);
  }

  async block({ session, node, epoch }: Holder, pair: string): ReturnType<Matcher["block"]> {
    const { blockFor } = this.#rules;
    const limits = [blockFor, this.#mostBlocks, REPORT_AFTER_END_MS];
    const reply = (await this.#run(block, session, node, epoch, pair, ...limits)) as string[] | null;
    if (!reply) return null;
    const left = readLeft(reply.slice(1));
    return { partnerDevice: reply[0]!, ...(left && { left }) };
  }

  async end({ session, node, epoch }: Holder): Promise<Left | undefined> {
    return readLeft((await this.#run(leave, session, node, epoch, "end")) as string[]);
  }

  async renew(node: string, counts: Counts): ReturnType<Matcher["renew"]> {
    const reply = await this.#run(renew, node, this.#rules.lease, counts.online, counts.waiting);
    const [fresh, online, waiting, nodes, dead] = reply as [number, number, number, string[], string[]];
    return { total: { online, waiting }, nodes, dead, fresh: fresh === 1 };
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
    const reply = (await this.#run(census, top)) as string[];
    const interests: Census["interests"] = [];
    for (let at = 2; at < reply.length; at += 2) {
      interests.push({ interest: reply[at]!, waiting: Number(reply[at + 1]) });
    }
    return { waiting: { video: Number(reply[0]), text: Number(reply[1]) }, interests };
  }

  async #find(holder: Holder, { wish, leaving, since }: Find, undoing: string): Promise<Outcome> {
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
    );
    return readOutcome(reply as Reply, wish.mode);
  }

  #run(run: Script, ...args: Argument[]): Promise<unknown> {
    const { recentFor, recentMost } = this.#rules;
    return run(this.#redis.client, this.#keys, [this.#now?.() ?? "", recentFor, recentMost, ...args]);
  }
}

// What the scripts answer, as their headers have it

type Reply = (string | number)[];

const lines = (text: string): string[] => (text === "" ? [] : text.split("\n"));

function readOutcome(reply: Reply, mode: Mode): Outcome {
  const [kind, ...rest] = reply as [string, ...string[]];
  switch (kind) {
    case "matched": {
      const [pair, waited, partnerWaited, session, node, shared, language, ...more] = rest;
      const match = readMatch([pair!, mode, "offerer", session!, node!, shared!, language!]);
      return {
        kind,
        match,
        waited: Number(waited),
        partnerWaited: Number(partnerWaited),
        ...readRest(more),
      };
    }
    case "waiting": {
      const [since, retryIn, gave, ...more] = rest;
      return {
        kind,
        since: Number(since),
        relaxed: readRelaxed(Number(gave)),
        retryIn: Number(retryIn),
        ...readRest(more),
      };
    }
    case "claimed":
      return { kind, match: readMatch(rest) };
    case "superseded":
    case "fenced":
      return { kind };
    default:
      throw new Error(`the find script answered ${kind}`);
  }
}

function readRest(fields: string[]): { left?: Left; passed: PassedOver } {
  const left = readLeft(fields);
  const [device, blocked, recent, gone] = fields.slice(3).map(Number) as [number, number, number, number];
  return { ...(left && { left }), passed: { device, blocked, recent, gone } };
}

function readRelaxed(gave: number): Relaxation[] {
  const relaxed: Relaxation[] = [];
  if (gave & 1) relaxed.push("interests");
  if (gave & 2) relaxed.push("languages");
  if (gave & 4) relaxed.push("recent");
  return relaxed;
}

function readMatch(fields: string[]): Match {
  const [pair, mode, role, session, node, shared, language] = fields as [
    string,
    Mode,
    Role,
    string,
    string,
    string,
    string,
  ];
  const common = { interests: lines(shared), ...(language && { language }) };
  return { pair, mode, role, partner: { session, node }, common };
}

function readLeft([pair, session, node]: string[]): Left | undefined {
  return pair ? { pair, partner: { session: session!, node: node! } } : undefined;
}

function readResumed(state: string, fields: string[]): Resumed {
  if (state === "paired") return { state, match: readMatch(fields) };
  if (state !== "waiting") return { state: "idle" };
  const [since, mode, interests, languages, strict] = fields as [string, Mode, string, string, string];
  const wish: Wish = {
    mode,
    interests: lines(interests),
    languages: lines(languages),
    strict: strict === "1",
  };
  return { state, wish, since: Number(since) };
}
