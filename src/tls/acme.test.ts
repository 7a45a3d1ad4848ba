import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:http";
import type { Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { realClock } from "../clock.ts";
import { clientOf } from "../http/client.ts";
import { startHttp } from "../http/server.ts";
import type { HttpServer } from "../http/server.ts";
import { acmeChecks } from "./acme-checks.ts";
import { type CheckType, obtain } from "./acme.ts";
import type { Certificate } from "./certificate.ts";
import { isFor } from "./certificate.ts";
import type { CertificateStore } from "./certificate-store.ts";
import { dataDirStore } from "./data-dir-store.ts";
import { createSelfSigned } from "./self-signed.ts";
import { type Pebble, startPebble } from "./test-pebble.ts";

const domain = "chat.example.test";
let pebble: Pebble;
let stopgap: Certificate;
beforeAll(async () => {
  pebble = await startPebble();
  stopgap = await createSelfSigned([domain], Date.now());
});
afterAll(() => pebble.stop());

let directory: string;
let store: CertificateStore;
let server: HttpServer | undefined;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "chatrandom-acme-"));
  const log = { warn() {} };
  store = dataDirStore({ directory, domain, authority: pebble.directory, clock: realClock, log });
});
afterEach(async () => {
  await server?.close();
  server = undefined;
  rmSync(directory, { recursive: true });
});

/** The server as visitors have it, where the authority comes to. */
async function serve(port: number): Promise<void> {
  server = await startHttp(
    {
      health: { notReady: () => [], metrics: async () => ({ contentType: "text/plain", text: "" }) },
      client: { ...clientOf([], []), isHere: () => false },
      upgrade: () => {},
      pageFiles: [],
      log: { error() {} },
      https: {
        certificates: { current: stopgap, stop() {} },
        checks: acmeChecks(domain, store),
        clock: realClock,
        dropped: () => {},
        name: "Here",
      },
    },
    "127.0.0.1",
    port,
  );
}

const order = (check: CheckType, more = {}) =>
  obtain({ domain, directory: pebble.directory, email: "", check, store, patience: 50, ...more });

test.each<[CheckType, "httpPort" | "tlsPort"]>([
  ["http-01", "httpPort"],
  ["tls-alpn-01", "tlsPort"],
])("a certificate comes by %s, on the port that everything is on", async (check, port) => {
  await serve(pebble[port]);
  const certificate = await order(check, { email: "me@example.org" });
  expect(isFor(certificate, domain)).toBe(true);
  expect(certificate.selfSigned).toBe(false);
  expect(certificate.until).toBeGreaterThan(Date.now() + 80 * 86_400_000);
  expect(certificate.chain.match(/BEGIN CERTIFICATE/g)!.length).toBeGreaterThan(1);
  // Nothing is answered once the check is over.
  expect(await store.answer()).toBeUndefined();
});

test("the account is made once, and its key is for us alone to read", async () => {
  await serve(pebble.httpPort);
  await order("http-01");
  const [folder] = readdirSync(directory);
  const file = join(directory, folder!, "account.json");
  const account = readFileSync(file, "utf8");
  expect(account).toContain("PRIVATE KEY");
  expect(statSync(file).mode & 0o777).toBe(0o600);
  await order("http-01");
  expect(readFileSync(file, "utf8")).toBe(account);
});

test("an account that the authority has forgotten is made anew", async () => {
  await serve(pebble.httpPort);
  await order("http-01");
  const { key } = (await store.account())!;
  const forgotten = { key, url: new URL("/my-account/ffff", pebble.directory).href };
  await store.saveAccount(forgotten);
  expect(isFor(await order("http-01"), domain)).toBe(true);
  expect(await store.account()).not.toEqual(forgotten);
});

test("while a check is under way visitors get their certificate, not the check's", async () => {
  await serve(pebble.tlsPort);
  await store.putAnswer({ token: "t", keyAuthorization: "t.k" }, 60_000);
  const seen = (protocols: string[]) =>
    new Promise<string | undefined>((resolve, reject) => {
      const options = {
        host: "127.0.0.1",
        port: pebble.tlsPort,
        servername: domain,
        rejectUnauthorized: false,
      };
      const socket = connect({ ...options, ALPNProtocols: protocols }, () => {
        resolve(socket.getPeerX509Certificate()?.fingerprint256);
        socket.destroy();
      }).on("error", reject);
    });
  expect(await seen(["acme-tls/1"])).not.toBe(stopgap.fingerprint);
  expect(await seen(["h2", "http/1.1"])).toBe(stopgap.fingerprint);
  await store.dropAnswer({ token: "t", keyAuthorization: "t.k" });
  await expect(seen(["acme-tls/1"])).rejects.toThrow();
});

test.each<CheckType>(["http-01", "tls-alpn-01"])(
  "when the authority does not reach us by %s, it says what it found",
  async (check) => {
    await expect(order(check)).rejects.toThrow(/refused|Failed to connect/);
    expect(await store.answer()).toBeUndefined();
  },
);

test("when somebody else has the domain, what they answer is what is told", async () => {
  const other: Server = createServer((_, response) => response.writeHead(404).end());
  await new Promise<void>((resolve) => other.listen(pebble.httpPort, "127.0.0.1", resolve));
  await expect(order("http-01")).rejects.toThrow(/404|key authorization/i);
  await new Promise((resolve) => other.close(resolve));
});

test("an authority that is not there, or is none, is told in one line", async () => {
  const none = `https://127.0.0.1:${pebble.httpPort}/dir`;
  await expect(order("http-01", { directory: none })).rejects.toThrow(
    /^cannot reach 127\.0\.0\.1:\d+: ECONNREFUSED$/,
  );
  const wrong = pebble.directory.replace("/dir", "/nothing");
  await expect(order("http-01", { directory: wrong })).rejects.toThrow(/404/);
});

describe("an authority that wants accounts bound to its customers", () => {
  const key = Buffer.from("the key that the authority gave out, as long as it likes").toString("base64url");
  let strict: Pebble;
  beforeAll(async () => {
    strict = await startPebble({ bindingKeys: { "key-1": key } });
  });
  afterAll(() => strict.stop());

  const bound = (binding?: { keyId: string; key: string }) =>
    order("http-01", { directory: strict.directory, binding });

  test("makes one for who has its key", async () => {
    await serve(strict.httpPort);
    expect(isFor(await bound({ keyId: "key-1", key }), domain)).toBe(true);
    // The account is there now, so nothing has to be shown any more.
    expect(isFor(await bound(), domain)).toBe(true);
  });

  test("takes the key also in plain base64", async () => {
    await serve(strict.httpPort);
    const plain = Buffer.from(key, "base64url").toString("base64");
    expect(isFor(await bound({ keyId: "key-1", key: plain }), domain)).toBe(true);
  });

  test("makes none without: which options to set is told", async () => {
    await expect(bound()).rejects.toThrow(/set acme\.eab_key_id and acme\.eab_key to what it gave you/);
    expect(await store.account()).toBeUndefined();
  });

  test.each([
    ["a wrong key", "key-1", Buffer.alloc(32, "wrong").toString("base64url")],
    ["an unknown name", "key-2", key],
  ])(
    "makes none for %s: the authority's words are told and which options to look at, not the key",
    async (_, keyId, key) => {
      const error = await bound({ keyId, key }).catch((error: Error) => error.message);
      expect(error).toMatch(
        /^the authority makes no account: .+\. Are acme\.eab_key_id and acme\.eab_key those that it gave you\?$/,
      );
      expect(error).not.toContain(key);
      expect(await store.account()).toBeUndefined();
    },
  );
});
