import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Clock, realClock } from "../clock.ts";
import { loadConfig } from "../config/load.ts";
import { type DomainCheckServer, startDomainCheckServer } from "../http/domain-check.ts";
import { StillClock } from "../still-clock.ts";
import { dataDirStore } from "./data-dir-store.ts";
import { type Https, kindOf, openHttps } from "./open.ts";
import { createSelfSigned } from "./self-signed.ts";
import { type Pebble, startPebble } from "./test-pebble.ts";
import { until } from "../test-until.ts";

let root: string;
let logged: { level: string; what: Record<string, unknown>; message: string }[];
const opened: Https[] = [];
const servers: DomainCheckServer[] = [];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "chatrandom-https-"));
  logged = [];
});
afterEach(async () => {
  for (const { certificates } of opened.splice(0)) await certificates.stop();
  for (const server of servers.splice(0)) await server.close();
  rmSync(root, { recursive: true });
});

const optionsOf = (env: Record<string, string> = {}) => {
  const named = Object.entries(env).map(([key, value]) => [`CHATRANDOM_${key}`, value]);
  return loadConfig({ env: { CHATRANDOM_DATA_DIR: root, ...Object.fromEntries(named) } }).config;
};

async function open(
  env: Record<string, string> = {},
  clock: Clock = realClock,
  wallClock = Date.now,
): Promise<Https | undefined> {
  const options = optionsOf(env);
  const lines = logged;
  const write = (level: string) => (what: object, message: string) =>
    void lines.push({ level, what: what as Record<string, unknown>, message });
  const log = { info: write("info"), warn: write("warn"), error: write("error") };
  const { domain, acme } = options;
  const https = await openHttps(options, {
    store: (directory) =>
      dataDirStore({ directory, domain, authority: acme.directory, clock: realClock, log }),
    async listenForChecks(checks) {
      servers.push(
        await startDomainCheckServer({ checks, origin: `https://${domain}` }, "127.0.0.1", acme.http_port),
      );
    },
    clock,
    wallClock,
    random: () => 0.5,
    log,
  });
  if (https) opened.push(https);
  return https;
}

test.each([
  [{}, "self-signed"],
  [{ HOST: "127.0.0.1" }, "off"],
  [{ HOST: "localhost" }, "off"],
  [{ HOST: "192.168.1.20" }, "self-signed"],
  [{ HOST: "127.0.0.1", TLS: "self-signed" }, "self-signed"],
  [{ HTTPS_CERTIFICATE: "/c", HTTPS_KEY: "/k" }, "files"],
  [{ HTTPS_CERTIFICATE: "/c", HTTPS_KEY: "/k", TLS: "off" }, "off"],
  [{ TLS: "acme", DOMAIN: "chat.example" }, "acme"],
  // A domain alone may be that of a reverse proxy.
  [{ DOMAIN: "chat.example" }, "self-signed"],
])("with %j HTTPS is %s", (env, kind) => expect(kindOf(optionsOf(env as never))).toBe(kind));

test("off keeps nothing and starts nothing", async () => {
  expect(await open({ TLS: "off" })).toBeUndefined();
  expect(existsSync(join(root, "tls"))).toBe(false);
});

test("a self-signed one is for the domain first, and kept in the data directory", async () => {
  const https = await open({ DOMAIN: "chat.example" });
  expect(https!.certificates.current.names.slice(0, 2)).toEqual(["chat.example", "localhost"]);
  expect(existsSync(join(root, "tls/self-signed.pem"))).toBe(true);
  expect(https!.checks).toBeUndefined();
});

describe("files", () => {
  async function write(validForMs: number): Promise<Record<string, string>> {
    const { chain, key } = await createSelfSigned(["one.example"], Date.now(), validForMs);
    writeFileSync(join(root, "c.pem"), chain);
    writeFileSync(join(root, "k.pem"), key);
    return { HTTPS_CERTIFICATE: join(root, "c.pem"), HTTPS_KEY: join(root, "k.pem") };
  }

  test("are taken as they are", async () => {
    const https = await open({ ...(await write(90 * 86_400_000)), DOMAIN: "one.example" });
    expect(https!.certificates.current.names).toEqual(["one.example"]);
    expect(logged).toEqual([]);
  });

  test("that will not do are said, but served: the operator knows why", async () => {
    await open({ ...(await write(3 * 3_600_000)), DOMAIN: "two.example" });
    await open(await write(-1_000));
    expect(logged.map(({ message }) => message)).toEqual([
      "the certificate runs out soon",
      "the certificate is not for the domain",
      "the certificate ran out",
    ]);
  });

  test("that replace others and will not do are said, too", async () => {
    const clock = new StillClock(0);
    const now = Date.now();
    await open({ ...(await write(90 * 86_400_000)), DOMAIN: "one.example" }, clock, () => now);
    const messages = () => logged.map(({ message }) => message);
    // Valid from a later day on, and for another name.
    const { chain, key } = await createSelfSigned(["two.example"], now + 3 * 86_400_000);
    writeFileSync(join(root, "c.pem"), chain);
    writeFileSync(join(root, "k.pem"), key);
    await until(() => (clock.move(2_000), messages().length === 3));
    expect(messages()).toEqual([
      "took the new certificate",
      "the certificate is not valid yet",
      "the certificate is not for the domain",
    ]);
  });
});

test("files that nobody renews are said while serving, once a day", async () => {
  const { chain, key } = await createSelfSigned(["one.example"], Date.now(), 30 * 86_400_000);
  writeFileSync(join(root, "c.pem"), chain + key);
  const clock = new StillClock(0);
  const start = Date.now();
  const file = join(root, "c.pem");
  await open({ HTTPS_CERTIFICATE: file, HTTPS_KEY: file }, clock, () => start + clock.now());
  clock.move(22 * 86_400_000);
  expect(logged).toEqual([]);
  clock.move(86_400_000);
  expect(logged.map(({ message }) => message)).toEqual(["the certificate runs out soon"]);
  clock.move(7 * 86_400_000);
  expect(logged.at(-1)!.message).toBe("the certificate ran out");
});

describe("acme", () => {
  let pebble: Pebble;
  beforeAll(async () => {
    pebble = await startPebble();
  });
  afterAll(() => pebble.stop());

  const acme = (more: Record<string, string> = {}) => ({
    TLS: "acme",
    DOMAIN: "chat.example.test",
    ACME_DIRECTORY: pebble.directory,
    ACME_HTTP_PORT: String(pebble.httpPort),
    ...more,
  });
  const hasOne = (https: Https) => until(() => !https.certificates.current.selfSigned);

  test("serves a self-signed one until the authority's is there, and the next start has it at once", async () => {
    const https = (await open(acme()))!;
    expect(https.certificates.current.selfSigned).toBe(true);
    await hasOne(https);
    const { fingerprint, names } = https.certificates.current;
    expect(names).toEqual(["chat.example.test"]);
    for (const server of servers.splice(0)) await server.close();

    const again = (await open(acme()))!;
    expect(again.certificates.current.fingerprint).toBe(fingerprint);
  });

  test("the port for checks sends visitors to HTTPS", async () => {
    await open(acme());
    const origin = `http://127.0.0.1:${pebble.httpPort}`;
    const sent = await fetch(`${origin}/x?y`, { redirect: "manual" });
    expect([sent.status, sent.headers.get("location")]).toEqual([308, "https://chat.example.test/x?y"]);
    const unknown = await fetch(`${origin}/.well-known/acme-challenge/${"a".repeat(43)}`, {
      redirect: "manual",
    });
    expect(unknown.status).toBe(308);
  });

  describe("when the port for checks is taken", () => {
    // The authority may still come for an order of a test before: a connection that stays would keep it from closing.
    const taker = createServer((socket) => socket.destroy());
    beforeEach(async () => {
      taker.listen(pebble.httpPort, "127.0.0.1");
      await once(taker, "listening");
    });
    afterEach(() => new Promise((resolve) => void taker.close(resolve)));

    test("it is one clear line if the check has to come there", async () => {
      await expect(open(acme({ ACME_CHALLENGE: "http-01" }))).rejects.toThrow(
        expect.objectContaining({
          name: "Failure",
          message: `Port ${pebble.httpPort} is in use already. Stop what uses it, or choose another with acme.http_port.`,
        }),
      );
    });

    test("the other check is used if either will do", async () => {
      await open(acme());
      expect(logged).toContainEqual(
        expect.objectContaining({ level: "warn", message: expect.stringContaining("without http-01") }),
      );
    });

    test("nobody minds if it is not needed", async () => {
      await open(acme({ ACME_CHALLENGE: "tls-alpn-01" }));
      expect(logged.filter(({ level }) => level === "warn")).toEqual([]);
    });
  });

  test("an authority that wants a bound account says so in the log, and takes the key of the options", async () => {
    const key = Buffer.alloc(32, "of a customer").toString("base64url");
    const strict = await startPebble({ bindingKeys: { "key-1": key } });
    const env = acme({ ACME_DIRECTORY: strict.directory, ACME_HTTP_PORT: String(strict.httpPort) });
    try {
      await open(env);
      await until(() => logged.some(({ level }) => level === "error"));
      expect(logged.at(-1)!.what.reason).toContain(
        "set acme.eab_key_id and acme.eab_key to what it gave you",
      );
      for (const server of servers.splice(0)) await server.close();

      await hasOne((await open({ ...env, ACME_EAB_KEY_ID: "key-1", ACME_EAB_KEY: key }))!);
      expect(JSON.stringify(logged)).not.toContain(key);
    } finally {
      await strict.stop();
    }
  });

  test("an authority that cannot be reached is said in one line, and visitors are served meanwhile", async () => {
    const https = (await open(acme({ ACME_DIRECTORY: `https://127.0.0.1:${pebble.tlsPort}/dir` })))!;
    await until(() => logged.some(({ level }) => level === "error"));
    expect(logged.at(-1)).toMatchObject({
      message: "no certificate yet",
      what: { reason: `cannot reach 127.0.0.1:${pebble.tlsPort}: ECONNREFUSED`, again: "in 1 min" },
    });
    expect(https.certificates.current.selfSigned).toBe(true);
  });
});
