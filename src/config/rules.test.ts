/** The numbers stand here once more, as the contract has them: one that is changed by mistake is seen. */
import { expect, test } from "vitest";
import { loadConfig } from "./load.ts";
import { flagOf, type Key, keys } from "./options.ts";
import { matchingRules, nodeRules } from "./rules.ts";

function rules(flags: Record<string, string[]> = {}) {
  const { config } = loadConfig({ flags });
  return { node: nodeRules(config), matching: matchingRules(config) };
}

/** Each number under its path, such as `node.rates.find.burst`. */
function flat(tree: object, path = ""): Record<string, number> {
  const entries = Object.entries(tree).map(([name, value]: [string, number | object]) =>
    typeof value === "object" ? flat(value, `${path}${name}.`) : { [`${path}${name}`]: value },
  );
  return Object.assign({}, ...entries) as Record<string, number>;
}

test("S2, T6, T7: a node that nobody configured keeps to the contract", () => {
  expect(rules().node).toEqual({
    grace: 20_000,
    maxSessions: 20_000,
    heartbeat: 20_000,
    status: 15_000,
    renew: 1_000,
    lease: 5_000,
    rates: {
      find: { burst: 10, perSecond: 1 },
      signal: { burst: 100, perSecond: 50 },
      other: { burst: 20, perSecond: 5 },
    },
    addressRates: {
      connections: { burst: 100, perSecond: 5 },
      sessions: { burst: 100, perSecond: 2 },
      finds: { burst: 200, perSecond: 20 },
    },
  });
});

test("a node holds no more sessions than there is room for", () => {
  const { config } = loadConfig({ flags: {} });
  expect([nodeRules(config).maxSessions, nodeRules(config, 800).maxSessions]).toEqual([20_000, 800]);
});

test("S2, M4, M6: matching that nobody configured keeps to the contract", () => {
  expect(rules().matching).toEqual({
    interestsAfter: 5_000,
    languagesAfter: 10_000,
    recentAfter: 10_000,
    recentFor: 1_800_000,
    recentMost: 10,
    blockFor: 86_400_000,
    grace: 20_000,
    lease: 5_000,
  });
});

/** An option, what it is set to, and the rules that are different then. */
const CHANGES: [Key, string, Record<string, number>][] = [
  ["session.grace", "7s", { "node.grace": 7_000, "matching.grace": 7_000 }],
  ["session.max", "7", { "node.maxSessions": 7 }],
  ["limits.find.burst", "7", { "node.rates.find.burst": 7 }],
  ["limits.find.per_second", "0.7", { "node.rates.find.perSecond": 0.7 }],
  ["limits.signal.burst", "7", { "node.rates.signal.burst": 7 }],
  ["limits.signal.per_second", "0.7", { "node.rates.signal.perSecond": 0.7 }],
  ["limits.other.burst", "7", { "node.rates.other.burst": 7 }],
  ["limits.other.per_second", "0.7", { "node.rates.other.perSecond": 0.7 }],
  ["limits.address_connections.burst", "7", { "node.addressRates.connections.burst": 7 }],
  ["limits.address_connections.per_second", "0.7", { "node.addressRates.connections.perSecond": 0.7 }],
  ["limits.address_sessions.burst", "7", { "node.addressRates.sessions.burst": 7 }],
  ["limits.address_sessions.per_second", "0.7", { "node.addressRates.sessions.perSecond": 0.7 }],
  ["limits.address_finds.burst", "7", { "node.addressRates.finds.burst": 7 }],
  ["limits.address_finds.per_second", "0.7", { "node.addressRates.finds.perSecond": 0.7 }],
  ["matching.interests_after", "7s", { "matching.interestsAfter": 7_000 }],
  ["matching.languages_after", "7s", { "matching.languagesAfter": 7_000 }],
  ["matching.recent_after", "7s", { "matching.recentAfter": 7_000 }],
  ["matching.recent_for", "7s", { "matching.recentFor": 7_000 }],
  ["matching.block_for", "7m", { "matching.blockFor": 420_000 }],
];

test.each(CHANGES)("%s = %s changes its rule and no other", (key, value, changed) => {
  expect(flat(rules({ [flagOf(key)]: [value] }))).toEqual({ ...flat(rules()), ...changed });
});

test("every option of these sections is a rule", () => {
  const ours = keys.filter((key) => /^(session|limits|matching)\./.test(key));
  expect(ours).toEqual(CHANGES.map(([key]) => key));
});
