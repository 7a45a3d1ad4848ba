import { describe, expect, test } from "vitest";
import { parseRedisAddress, withoutPassword } from "./address.ts";

const single = { kind: "single", tls: false, db: 0 };
const sentinel = { kind: "sentinel", tls: false, db: 0, name: "mymaster" };

test.each([
  ["/run/redis.sock", { kind: "socket", path: "/run/redis.sock" }],
  ["./redis.sock", { kind: "socket", path: "./redis.sock" }],
  ["redis://h", { ...single, hosts: [{ host: "h", port: 6379 }] }],
  ["redis://", { ...single, hosts: [{ host: "127.0.0.1", port: 6379 }] }],
  [
    "redis://u:p%40@h:1/2",
    { ...single, hosts: [{ host: "h", port: 1 }], db: 2, username: "u", password: "p@" },
  ],
  ["redis://:p@h", { ...single, hosts: [{ host: "h", port: 6379 }], password: "p" }],
  ["rediss://[::1]:7", { ...single, hosts: [{ host: "::1", port: 7 }], tls: true }],
  [
    "redis+sentinel://a,b:1/mymaster",
    {
      ...sentinel,
      hosts: [
        { host: "a", port: 26379 },
        { host: "b", port: 1 },
      ],
    },
  ],
  [
    "rediss+sentinel://u:p@a/mymaster?db=3",
    {
      ...sentinel,
      tls: true,
      hosts: [{ host: "a", port: 26379 }],
      db: 3,
      username: "u",
      password: "p",
      sentinelPassword: "p",
    },
  ],
  [
    "redis+sentinel://:p@a/mymaster?sentinel_user=s&sentinel_password=q%26",
    {
      ...sentinel,
      hosts: [{ host: "a", port: 26379 }],
      password: "p",
      sentinelUsername: "s",
      sentinelPassword: "q&",
    },
  ],
  [
    "rediss+cluster://u:p@a,[::1]:7",
    {
      kind: "cluster",
      tls: true,
      hosts: [
        { host: "a", port: 6379 },
        { host: "::1", port: 7 },
      ],
      username: "u",
      password: "p",
    },
  ],
])("%s", (target, address) => {
  expect(parseRedisAddress(target)).toEqual(address);
});

describe("refused, without telling the password", () => {
  test.each([
    ["localhost:6379", "neither a URL"],
    ["", "neither a URL"],
    ["http://:secret@h", "begins with http://"],
    ["redis+sentinal://:secret@h/m", "begins with redis+sentinal://"],
    ["redis://:secret@h/abc", "database by a number"],
    ["redis://:secret@h?db=1", "must not have"],
    ["redis://:secret@h:99999", "host that cannot be read"],
    ["redis://:sec@ret@h", "write %40"],
    ["redis://:secret%@h", "write %25"],
    ["redis://:secret@a,b", "several hosts"],
    ["redis+sentinel://:secret@a,b", "what the Sentinels call the master"],
    ["redis+sentinel://:secret@/m", "host that cannot be read"],
    ["redis+sentinel://:secret@a/m?db=x", "database by a number"],
    ["redis+sentinel://:secret@a/m?password=secret", "must not have"],
    ["redis+cluster://:secret@a,/1", "host that cannot be read"],
    ["redis+cluster://:secret@a/1", "must have no path"],
  ])("%j", (target, problem) => {
    expect(() => parseRedisAddress(target)).toThrow(/^the Redis address /);
    expect(() => parseRedisAddress(target)).toThrow(problem);
    expect(() => parseRedisAddress(target)).not.toThrow(/sec/);
  });
});

test.each([
  ["redis://h/1", "redis://h/1"],
  ["redis://u:p@h/1", "redis://***@h/1"],
  ["redis://u:p@ss@h/1", "redis://***@h/1"],
  ["redis://u:p/ss@h/1", "redis://***@h/1"],
  [
    "redis+sentinel://u:p@a:1,b:2/m?db=1&sentinel_user=u&sentinel_password=p",
    "redis+sentinel://***@a:1,b:2/m?db=1&sentinel_user=***&sentinel_password=***",
  ],
  ["redis+cluster://u:p@a:1,b:2", "redis+cluster://***@a:1,b:2"],
])("%s may be shown as %s", (target, shown) => {
  expect(withoutPassword(target)).toBe(shown);
});
