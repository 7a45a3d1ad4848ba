import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Failure } from "../failure.ts";
import { loadConfig, type Sources } from "./load.ts";
import { flagOf, type Key, keys, type Option, options, variableOf } from "./options.ts";
import { isList, type Type } from "./types.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "chatrandom-config-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

const file = (text: string): string => {
  const path = join(directory, "config.toml");
  writeFileSync(path, text);
  return path;
};
const fromFile = (text: string) => loadConfig({ flags: { config: [file(text)] }, files: true });

/** The lines of the failure, with the directory of this test taken out. */
function problems(sources: Sources | string): string[] {
  try {
    if (typeof sources === "string") fromFile(sources);
    else loadConfig(sources);
  } catch (error) {
    expect(error).toBeInstanceOf(Failure);
    expect((error as Failure).exitCode).toBe(2);
    const lines = (error as Failure).message.replaceAll(`${directory}/`, "").split("\n");
    return lines.length === 1 ? lines : lines.slice(1).map((line) => line.trim());
  }
  return [];
}

/** Any value that an option of this type may have. */
function anyValue(type: Type<unknown>): fc.Arbitrary<unknown> {
  if (isList(type)) return fc.array(anyValue(type.element), { maxLength: 5 });
  if (type.placeholder === "true|false") return fc.boolean();
  if (type.choices !== undefined) return fc.constantFrom(...type.choices);
  const [min, max] =
    / from (\S+) to (\S+)$/
      .exec(type.allowed)
      ?.slice(1)
      .map((text) => type.parse(text)) ?? [];
  const bounds = { min: min as number, max: max as number };
  const name = fc.stringMatching(/^[a-z][a-z0-9]{0,8}(\.[a-z]{2,5}){0,2}$/);
  switch (type.placeholder) {
    case "number":
      return type.allowed.includes("whole")
        ? fc.integer(bounds)
        : fc.double({ ...bounds, noNaN: true }).map((value) => Number(value.toFixed(3)));
    case "true|false|auto":
      return fc.constantFrom("auto", true, false);
    case "number|auto":
      return fc.oneof(fc.constant("auto"), fc.integer({ min: 1, max: 256 }));
    case "port":
    case "duration":
    case "size":
      return fc.integer(bounds);
    case "text":
      return fc
        .string({ unit: "grapheme", minLength: 1, maxLength: 30 })
        .filter((text) => type.parse(text) === text);
    case "base64":
      return fc.base64String({ minLength: 4 });
    case "path":
      return name.map((name) => `/${name}/with space/"quote"/ü`);
    case "host":
      return fc.oneof(fc.ipV4(), fc.ipV6(), name);
    case "origin":
      return fc
        .tuple(fc.constantFrom("http", "https"), name, fc.integer({ min: 1024, max: 65_535 }))
        .map(([scheme, name, port]) => `${scheme}://${name}:${port}`);
    case "network":
      return fc.oneof(
        fc.constantFrom("loopback", "fd00::/8"),
        fc.ipV4().map((address) => `${address}/24`),
        fc.ipV6(),
      );
    case "name":
      return name.map((name) => `${name}.example`);
    case "address":
      if (type.allowed.startsWith("an IP")) return fc.oneof(fc.ipV4(), fc.ipV6());
      return name.map((name) => `${name}@example.org`);
    case "url":
      if (type.allowed.includes("https://")) return name.map((name) => `https://${name}.example/directory`);
      if (!type.allowed.includes("turn:")) return name.map((name) => `stun:${name}:3478`);
      return name.map((name) => `turn:${name}:3478?transport=udp`);
    case "redis":
      return name.map((name) => `redis://someone:word@${name}:6379/1`);
    default:
      throw new Error(`no values for the type ${type.placeholder}`);
  }
}

const anyValues = fc
  .record(
    Object.fromEntries(keys.map((key) => [key, anyValue(options[key].type)])) as Record<
      Key,
      fc.Arbitrary<unknown>
    >,
  )
  // Options that exclude each other, or need one another.
  .map((values) => ({
    ...values,
    "ice.urls": ["turn:relay.example", ...(values["ice.urls"] as string[])],
    "turn.urls": ["turn:relay.example", ...(values["turn.urls"] as string[])],
    "link.port": [values.port, values["acme.http_port"]].includes(values["link.port"])
      ? 0
      : values["link.port"],
    "turn.min_port": Math.min(values["turn.min_port"] as number, values["turn.max_port"] as number),
  }));

const textOf = (key: Key, value: unknown): string => (options[key] as Option).type.format(value);
const isSecret = (key: Key): boolean => (options[key] as Option).secret === true;

describe("one name, three spellings", () => {
  test("every option round-trips through flag, variable and file to the same Config", () => {
    fc.assert(
      fc.property(anyValues, (values) => {
        const expected: Record<string, unknown> = {};
        for (const key of keys) {
          const names = key.split(".");
          let table = expected;
          for (const name of names.slice(0, -1)) table = (table[name] ??= {}) as Record<string, unknown>;
          table[names.at(-1)!] = values[key];
        }
        const toml = keys
          .map((key) => `${key} = ${(options[key] as Option).type.toml(values[key])}`)
          .join("\n");
        const env = Object.fromEntries(keys.map((key) => [variableOf(key), textOf(key, values[key])]));
        const flags = Object.fromEntries(
          keys.filter((key) => !isSecret(key)).map((key) => [flagOf(key), [textOf(key, values[key])]]),
        );
        const secrets = Object.fromEntries(
          keys.filter(isSecret).map((key) => [variableOf(key), env[variableOf(key)]]),
        );

        expect(fromFile(toml).config).toEqual(expected);
        expect(loadConfig({ env }).config).toEqual(expected);
        expect(loadConfig({ flags, env: secrets }).config).toEqual(expected);
      }),
    );
  });

  test("no two options share a flag or a variable", () => {
    expect(new Set(keys.map(flagOf)).size).toBe(keys.length);
    expect(new Set(keys.map(variableOf)).size).toBe(keys.length);
  });

  test("a default is a value that may also be given", () => {
    const { config, origins } = loadConfig({ env: { HOME: "/home/anna" } });
    for (const key of keys) {
      const value = key
        .split(".")
        .reduce<unknown>((table, name) => (table as Record<string, unknown>)[name], config);
      expect(options[key].type.parse(textOf(key, value)), key).toEqual(value);
      expect(origins[key]).toBe("default");
    }
  });

  test("flag beats variable beats file beats default, and each tells where it is from", () => {
    const toml = "port = 1\nsession.max = 1\nlimits.find.burst = 1";
    const { config, origins } = loadConfig({
      flags: { config: [file(toml)], port: ["3"] },
      env: { CHATRANDOM_PORT: "2", CHATRANDOM_SESSION_MAX: "2" },
      files: true,
    });
    expect([config.port, config.session.max, config.limits.find]).toEqual([
      3,
      2,
      { burst: 1, per_second: 1 },
    ]);
    expect(origins.port).toBe("--port");
    expect(origins["session.max"]).toBe("CHATRANDOM_SESSION_MAX");
    expect(origins["limits.find.burst"]).toMatch(/config\.toml:3$/);
    expect(origins["limits.find.per_second"]).toBe("default");
  });

  test("of a flag given twice the last counts, but a list takes all", () => {
    const flags = { port: ["1", "2"], "http-trusted-proxies": ["loopback", "10.0.0.1, 10.0.0.2"] };
    const { config } = loadConfig({ flags });
    expect(config.port).toBe(2);
    expect(config.http.trusted_proxies).toEqual(["loopback", "10.0.0.1", "10.0.0.2"]);
  });

  test("the config is frozen at every level", () => {
    const { config } = loadConfig();
    for (const part of [config, config.limits, config.limits.find, config.http.allowed_origins]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });

  test("data lives in XDG_DATA_HOME, below HOME, or in the working directory", () => {
    const place = (env: Record<string, string>) => loadConfig({ env }).config.data_dir;
    expect(place({ HOME: "/home/anna", XDG_DATA_HOME: "/data" })).toBe("/data/chatrandom");
    expect(place({ HOME: "/home/anna" })).toBe("/home/anna/.local/share/chatrandom");
    expect(place({})).toBe(join(process.cwd(), "chatrandom-data"));
  });
});

describe("what is wrong", () => {
  test("is all told at once, by dotted key, line and what is allowed", () => {
    const toml =
      'port = 99999\n\n[session]\ngrace = 20\n[http]\nallowed_origins = [\n  "https://a.example",\n  "nope",\n]';
    expect(problems(toml)).toEqual([
      "config.toml:1: port is 99999, but must be a whole number from 0 to 65535",
      'config.toml:4: session.grace is 20, but must be a duration such as "1500ms", "20s", "5m" or "24h", from 1s to 10m',
      'config.toml:8: http.allowed_origins[1] is "nope", but must be an origin such as "https://chat.example.org", without a path',
    ]);
  });

  test("in flags and variables is told as well", () => {
    const sources = {
      flags: { port: ["many"] },
      env: { CHATRANDOM_LOG_LEVEL: "loud", CHATRANDOM_SESSION_MAX: "" },
    };
    expect(problems(sources)).toEqual([
      'CHATRANDOM_LOG_LEVEL: log_level is "loud", but must be one of "silent", "fatal", "error", "warn", "info", "debug", "trace"',
      'CHATRANDOM_SESSION_MAX: session.max is "", but must be a whole number from 1 to 1000000',
      '--port: port is "many", but must be a whole number from 0 to 65535',
    ]);
  });

  test.each([
    ["prot = 1", "config.toml:1: unknown key prot. Did you mean port?"],
    [
      '[sesion]\ngrace = "5s"',
      "config.toml:2: unknown key sesion.grace. Did you mean session.grace? It belongs in the section [session]",
    ],
    [
      "[session]\nlog_level = 1",
      "config.toml:2: unknown key session.log_level. Did you mean log_level? It belongs above the first [section] of the file",
    ],
    [
      '[embedded]\nmax_memory = "64mb"\nport = 9000',
      "config.toml:3: unknown key embedded.port. Did you mean port? It belongs above the first [section] of the file",
    ],
    [
      '[session]\nhost = "::1"',
      "config.toml:2: unknown key session.host. Did you mean host? It belongs above the first [section] of the file",
    ],
    [
      "[limits]\nport = 1",
      "config.toml:2: unknown key limits.port. Did you mean port? It belongs above the first [section] of the file",
    ],
    ["[trun]\nport = 1", "config.toml:2: unknown key trun.port. Did you mean turn.port?"],
    ["\n[entirely.different]\nx = 1", "config.toml:3: unknown key entirely.different.x"],
    ["[nothing]", "config.toml:1: unknown key nothing"],
    ["session = 5", "config.toml:1: session is 5, but must be a table: [session]"],
    ["[[session]]\nmax = 5", 'config.toml:1: session is [{"max":5}], but must be a table: [session]'],
    ["[port]\nx = 1", 'config.toml:1: port is {"x":1}, but must be a whole number from 0 to 65535'],
    ['"a\\u0007b" = 1', 'config.toml:1: unknown key "a\\u0007b"'],
    [
      "__proto__.log_level = 1",
      "config.toml:1: unknown key __proto__.log_level. Did you mean log_level? It belongs above the first [section] of the file",
    ],
    ["port = 1979-05-27", "config.toml:1: port is 1979-05-27, but must be a whole number from 0 to 65535"],
    ["session.max = nan", "config.toml:1: session.max is NaN, but must be a whole number from 1 to 1000000"],
    ["port = 8080.5", "config.toml:1: port is 8080.5, but must be a whole number from 0 to 65535"],
  ])("%j", (toml, problem) => {
    expect(problems(toml)[0]).toBe(problem);
  });

  test("a syntax error has its line and column", () => {
    expect(problems("port = 1\nhost = \n")[0]).toMatch(/^config\.toml:2:\d+: not valid TOML: /);
    expect(problems("port = 1\nport = 2\n")[0]).toMatch(/^config\.toml:2:\d+: not valid TOML: /);
  });

  test.each([
    ["port = 1\nport = 2", "config.toml:2:1: not valid TOML: port is there already"],
    ["[http]\n[http]", "config.toml:2:2: not valid TOML: http is there already"],
    ["turn.port = 1\n[turn]\nhost = 'a'", "config.toml:2:2: not valid TOML: turn is there already"],
    ['x = { "a b" = 1, "a b" = 2 }', 'config.toml:1:18: not valid TOML: "a b" is there already'],
  ])("what is there twice is named: %j", (toml, problem) => {
    expect(problems(toml)).toEqual([problem]);
  });

  test.each(["host = localhost", "host = 127.0.0.1", "drain_timeout = 5s", "tls = off"])(
    "%s says that it needs quotes",
    (toml) => {
      expect(problems(toml)[0]).toMatch(/^config\.toml:1:\d+: not valid TOML: .* needs quotes$/);
    },
  );

  test("never shows a secret", () => {
    expect(problems("[ice]\ncredential = 12345")).toEqual([
      "config.toml:2: ice.credential must be text of at most 512 characters on one line",
    ]);
    expect(problems({ env: { CHATRANDOM_LINK_SECRET: "s3cret" } })).toEqual([
      'CHATRANDOM_LINK_SECRET: link.secret must be text of 32 to 1024 characters on one line, or "" for none',
    ]);
    const long = "s3cret".repeat(100);
    expect(problems({ env: { CHATRANDOM_ICE_CREDENTIAL: long } }).join()).not.toContain("s3cret");
  });

  test("includes options that cannot work together", () => {
    expect(problems('\nice.urls = ["turn:a.example"]')).toEqual([
      "config.toml:2: ice.urls names a TURN server, so ice.username and ice.credential must be given too",
    ]);
    expect(problems({ flags: { "ice-policy": ["relay"], "turn-enabled": ["false"] } })).toEqual([
      '--ice-policy: ice.policy is "relay", so there must be a TURN server, by turn.enabled, turn.urls or ice.urls: ' +
        "no call could connect",
    ]);
    expect(problems('turn.urls = ["turn:a.example"]')[0]).toContain("so turn.secret must be given too");
    expect(problems({ env: { CHATRANDOM_TURN_SECRET: "s3cret" } })).toEqual([
      "CHATRANDOM_TURN_SECRET: turn.secret is given, so turn.urls must name the servers that it is for",
    ]);
    expect(problems("turn.min_port = 50000\nturn.max_port = 49999")).toEqual([
      "config.toml:1: turn.min_port must not be above turn.max_port, which is 49999",
    ]);
    expect(problems({ flags: { tls: ["acme"] } })).toEqual([
      '--tls: tls is "acme", so domain must say which name the certificate is for',
    ]);
    expect(problems('tls = "files"\nhttps.certificate = "a.pem"')).toEqual([
      'config.toml:1: tls is "files", so https.certificate and https.key must be given too',
    ]);
    expect(problems('https.certificate = "a.pem"')).toEqual([
      "config.toml:1: https.certificate is given, so https.key must be given too",
    ]);
    expect(problems('https.key = "a.pem"')).toEqual([
      "config.toml:1: https.key is given, so https.certificate must be given too",
    ]);
    expect(problems('acme.eab_key_id = "a"')).toEqual([
      "config.toml:1: acme.eab_key_id is given, so acme.eab_key must be given too",
    ]);
    expect(problems('acme.eab_key = "s3cret"')).toEqual([
      "config.toml:1: acme.eab_key is given, so acme.eab_key_id must be given too",
    ]);
  });

  const redis = "redis://10.0.0.1";
  test.each([
    ["port = 3478", "config.toml:1: port is 3478, and so is turn.port: two cannot listen on one port"],
    ["turn.port = 8080", "config.toml:1: turn.port is 8080, and so is port: two cannot listen on one port"],
    [
      `redis = "${redis}"\nlink.port = 8080`,
      "config.toml:2: link.port is 8080, and so is port: two cannot listen on one port",
    ],
    [
      `redis = "${redis}"\nturn.port = 7400\nhost = "10.0.0.1"`,
      "config.toml:2: turn.port is 7400, and so is link.port: two cannot listen on one port",
    ],
    [
      'tls = "acme"\ndomain = "a.example"\nturn.port = 80',
      "config.toml:3: turn.port is 80, and so is acme.http_port: two cannot listen on one port",
    ],
  ])("refuses one port for two: %j", (toml, problem) => {
    expect(problems(toml)).toEqual([problem]);
  });

  test.each([
    ["port = 0\nturn.port = 0"],
    ["port = 3478\nturn.enabled = false"],
    ['port = 443\nhost = "192.0.2.1"\nturn.port = 443\nturn.host = "192.0.2.2"'],
    ["link.port = 8080"],
    ['host = "0.0.0.0"\nport = 443\nturn.host = "fd00::1"\nturn.port = 443'],
    ["turn.port = 80"],
    ["turn.min_port = 50000\nturn.max_port = 50009"],
    ['turn.total_bandwidth = "640kb"'],
    ['turn.public_address = "10.1.2.3"'],
    ['port = 80\ntls = "acme"\ndomain = "a.example"'],
    ['tls = "acme"\nacme.challenge = "tls-alpn-01"\ndomain = "a.example"\nturn.port = 80'],
  ])("does not refuse %j", (toml) => {
    expect(problems(toml)).toEqual([]);
  });

  test.each([
    [
      'turn.total_bandwidth = "600kb"',
      "turn.total_bandwidth must not be below turn.bandwidth, which is 640kb: no call would get a port",
    ],
    [
      'turn.bandwidth = "2mb"\nturn.total_bandwidth = "1mb"',
      "turn.total_bandwidth must not be below turn.bandwidth, which is 2mb: no call would get a port",
    ],
    [
      "turn.min_port = 50000\nturn.max_port = 50008",
      "turn.min_port leaves 9 ports, from 50000 to 50008: calls need 10 at least, and each takes several",
    ],
    [
      "turn.max_port = 49153",
      "turn.max_port leaves 2 ports, from 49152 to 49153: calls need 10 at least, and each takes several",
    ],
    ["turn.max_port = 40000", "turn.max_port must not be below turn.min_port, which is 49152"],
  ])("refuses a relay that no call can go by: %j", (toml, problem) => {
    expect(problems(toml)).toEqual([expect.stringMatching(/^config\.toml:\d: /)]);
    expect(problems(toml)[0]).toContain(problem);
    expect(problems(`${toml}\nturn.enabled = false`)).toEqual([]);
  });

  test.each([
    "0.0.0.0",
    "127.0.0.1",
    "255.255.255.255",
    "224.0.0.1",
    "169.254.1.1",
    "::",
    "::1",
    "fe80::1",
    "ff02::1",
  ])("refuses %s as the address by which others reach this machine", (address) => {
    expect(problems({ flags: { "turn-public-address": [address] } })).toEqual([
      `--turn-public-address: turn.public_address is ${address}, at which nobody reaches another machine`,
    ]);
  });

  test.each(["fe80::1", "fe80::1%eth0", "FEBF::1"])(
    "refuses to listen on the link-local address %s",
    (address) => {
      const words = `${address}, a link-local address, which no browser can open: give another, or "::" for every one`;
      expect(problems({ flags: { host: [address] } })).toEqual([`--host: host is ${words}`]);
      expect(problems({ flags: { "turn-host": [address] } })).toEqual([`--turn-host: turn.host is ${words}`]);
    },
  );

  test("stays readable when everything is", () => {
    const lines = problems(Array.from({ length: 500 }, (_, i) => `unknown_${i} = 1`).join("\n"));
    expect(lines).toHaveLength(21);
    expect(lines.at(-1)).toBe("and 480 more");
  });

  test("a file that is named but not there, not readable as text, or a directory", () => {
    const missing = join(directory, "missing.toml");
    expect(problems({ flags: { config: [missing] }, files: true })).toEqual([
      'the config file "missing.toml" does not exist',
    ]);
    expect(problems({ env: { CHATRANDOM_CONFIG: missing }, files: true })).toHaveLength(1);
    expect(problems({ flags: { config: [directory] }, files: true })[0]).toMatch(/is a directory$/);
    const dangling = join(directory, "dangling.toml");
    symlinkSync(missing, dangling);
    expect(problems({ flags: { config: [dangling] }, files: true })).toEqual([
      'the config file "dangling.toml" is a link to what does not exist',
    ]);
    const binary = join(directory, "binary.toml");
    writeFileSync(binary, Buffer.from([0x70, 0xff, 0xfe]));
    expect(problems({ flags: { config: [binary] }, files: true })).toEqual([
      'the config file "binary.toml" is not UTF-8 text',
    ]);
  });
});

test.each(["off", "self-signed", "acme"])("a certificate that tls = %s has no use for is only odd", (tls) => {
  const flags = { tls: [tls], domain: ["a.example"], "https-certificate": ["a.pem"], "https-key": ["a.key"] };
  expect(loadConfig({ flags }).warnings).toEqual([
    `--https-certificate: https.certificate is not used, because tls is "${tls}"`,
  ]);
  expect(loadConfig({ flags: { ...flags, tls: ["files"] } }).warnings).toEqual([]);
});

test("an unknown CHATRANDOM_ variable is only odd, and those of builds and tests are not even that", () => {
  const env = { CHATRANDOM_PROT: "1", CHATRANDOM_REDIS_SERVER: "/bin/x", CHATRANDOM_CONFIG: "x", OTHER: "1" };
  expect(loadConfig({ env }).warnings).toEqual([
    "unknown variable CHATRANDOM_PROT. Did you mean CHATRANDOM_PORT?",
  ]);
});
