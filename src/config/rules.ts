/** What the node and the matcher keep to: the operator's numbers where there is an option, else the contract's. */
import type { Rules } from "../matching/matcher.ts";
import { DEFAULT_RULES } from "../matching/rules.ts";
import type { NodeRules } from "../node/contracts.ts";
import { HEARTBEAT_MS, STATUS_MS } from "../protocol/limits.ts";
import type { Rate } from "../session/rate-limit.ts";
import type { Config } from "./options.ts";

/** Several times within a lease, so that one renewal may fail. */
const RENEW_MS = 1_000;

/** @param maxSessions where there is room for fewer than the operator admits */
export function nodeRules({ session, limits }: Config, maxSessions = session.max): NodeRules {
  return {
    grace: session.grace,
    maxSessions,
    heartbeat: HEARTBEAT_MS,
    status: STATUS_MS,
    renew: RENEW_MS,
    lease: DEFAULT_RULES.lease,
    rates: { find: rate(limits.find), signal: rate(limits.signal), other: rate(limits.other) },
    addressRates: {
      connections: rate(limits.address_connections),
      sessions: rate(limits.address_sessions),
      finds: rate(limits.address_finds),
    },
  };
}

export function matchingRules({ session, matching }: Config): Rules {
  return {
    ...DEFAULT_RULES,
    grace: session.grace,
    interestsAfter: matching.interests_after,
    languagesAfter: matching.languages_after,
    recentAfter: matching.recent_after,
    recentFor: matching.recent_for,
    blockFor: matching.block_for,
  };
}

const rate = ({ burst, per_second }: Config["limits"]["find"]): Rate => ({ burst, perSecond: per_second });
