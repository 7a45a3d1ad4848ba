import { createHash } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { HttpServer } from "./server.ts";
import { ask, certificate, plain, real, rest, start } from "./test-https.ts";

describe("plain from elsewhere", () => {
  test.each([
    ["192.168.1.20:8080", "/", "https://192.168.1.20:8080/"],
    ["192.168.1.20:8080", "/x/y?z=1#w", "https://192.168.1.20:8080/x/y?z=1#w"],
    ["[2001:db8::20]:8080", "/", "https://[2001:db8::20]:8080/"],
    ["Chat.Example:443", "/", "https://chat.example/"],
    // The port that was left out is 80, and it speaks HTTPS as well.
    ["chat.example", "/", "https://chat.example:80/"],
    // What looks like another host behind our own is a path.
    ["chat.example:8080", "//evil.example/", "https://chat.example:8080//evil.example/"],
    ["chat.example:8080", "http://evil.example/", "https://chat.example:8080/"],
  ])("at %s, %s is sent to %s", async (host, path, location) => {
    const server = await start({ here: false });
    const { status, headers, body } = await ask("http", server, path, { headers: { host } });
    expect([status, headers.location]).toEqual([308, location]);
    expect(headers["cache-control"]).toBe("no-store");
    expect(body).toContain(`href="${location}"`);
    expect(headers["strict-transport-security"]).toBeUndefined();
  });

  test("is sent on whatever it wants, health and what is not there included", async () => {
    const server = await start({ here: false });
    for (const path of ["/healthz", "/readyz", "/metrics", "/nothing"]) {
      expect((await ask("http", server, path)).status).toBe(308);
      expect((await ask("https", server, path)).status).not.toBe(308);
    }
    expect((await ask("http", server, "/", { method: "POST" })).status).toBe(308);
  });

  test.each([
    "a b",
    "chat.example:80x",
    "me@chat.example",
    "chat.example/x",
    "<script>",
    "chat.example:99999",
  ])("with the host %j is refused", async (host) => {
    const server = await start({ here: false });
    const { status, headers } = await ask("http", server, "/", { headers: { host } });
    expect([status, headers.location]).toEqual([400, undefined]);
  });

  test("is sent to the address that it came to when it names no host", async () => {
    const server = await start({ here: false });
    const socket = plain(server);
    socket.write("GET / HTTP/1.0\r\n\r\n");
    expect(await rest(socket)).toContain(`Location: https://127.0.0.1:${server.port}/\r\n`);
  });

  test("a WebSocket is refused with the address that works, which then works", async () => {
    const server = await start({ here: false });
    const refused = new WebSocket(`ws://127.0.0.1:${server.port}/ws`).on("error", () => {});
    const [, response] = (await once(refused, "unexpected-response")) as [unknown, IncomingMessage];
    expect(response.statusCode).toBe(426);
    const [body] = (await once(response, "data")) as [Buffer];
    expect(String(body)).toBe(`Connect with TLS: wss://127.0.0.1:${server.port}/ws\n`);
    const socket = new WebSocket(`wss://127.0.0.1:${server.port}/ws`, { rejectUnauthorized: false });
    await once(socket, "open");
    socket.terminate();
  });
});

describe("behind a proxy", () => {
  const forwarded = (proto: string, more = {}) => ({
    headers: { host: "inner:1", "x-forwarded-host": "chat.example", "x-forwarded-proto": proto, ...more },
  });

  test("that is trusted, HTTPS in front of it is enough", async () => {
    const server = await start({ here: false, trusted: ["loopback"] });
    for (const proto of ["https", "HTTPS", "https, http"]) {
      expect((await ask("http", server, "/healthz", forwarded(proto))).status).toBe(200);
    }
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/ws`, forwarded("https"));
    await once(socket, "open");
    socket.terminate();
  });

  test("that is trusted and says nothing, HTTPS is the proxy's business", async () => {
    const server = await start({ here: false, trusted: ["loopback"] });
    expect((await ask("http", server, "/healthz")).status).toBe(200);
  });

  test("that is trusted, a visitor without HTTPS is sent to the proxy's", async () => {
    const server = await start({ here: false, trusted: ["loopback"] });
    const { status, headers } = await ask("http", server, "/x", forwarded("http"));
    expect([status, headers.location]).toEqual([308, "https://chat.example/x"]);
    const other = await ask(
      "http",
      server,
      "/x",
      forwarded("http", { "x-forwarded-host": "chat.example:8000" }),
    );
    expect(other.headers.location).toBe("https://chat.example/x");
  });

  test("that is not trusted, it says so instead of going round in circles", async () => {
    const server = await start({ here: false });
    const { status, body } = await ask("http", server, "/", forwarded("https"));
    expect([status, body]).toEqual([403, expect.stringContaining("http.trusted_proxies")]);
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/ws`, forwarded("https")).on(
      "error",
      () => {},
    );
    const [, response] = (await once(socket, "unexpected-response")) as [unknown, { statusCode: number }];
    expect(response.statusCode).toBe(403);
  });

  test("what a proxy that is not trusted says of the host does not count", async () => {
    const server = await start({ here: false });
    const { headers } = await ask("http", server, "/", forwarded("http"));
    expect(headers.location).toBe("https://inner:1/");
  });

  test("on this machine, nothing changes", async () => {
    const server = await start();
    for (const proto of ["http", "https"]) {
      expect((await ask("http", server, "/healthz", forwarded(proto))).status).toBe(200);
    }
  });
});

describe("Strict-Transport-Security", () => {
  const header = async (server: HttpServer, scheme: "http" | "https", host: string) =>
    (await ask(scheme, server, "/healthz", { headers: { host } })).headers["strict-transport-security"];

  test("is said with a certificate that browsers take, at the name's own port", async () => {
    const server = await start({ current: real() });
    expect(await header(server, "https", "chat.example")).toMatch(/^max-age=\d{7,}$/);
    expect(await header(server, "https", "chat.example:8443")).toBeUndefined();
    expect(await header(server, "http", "chat.example")).toBeUndefined();
  });

  test("is not said with one that is self-signed", async () => {
    expect(await header(await start(), "https", "chat.example")).toBeUndefined();
  });
});

describe("the page about the certificate", () => {
  test("can be read before the browser warns, and says the fingerprint", async () => {
    const server = await start({ here: false, name: 'A & <b>"B"' });
    const { status, headers, body } = await ask("http", server, "/certificate");
    expect(status).toBe(200);
    expect(body).toContain(certificate.fingerprint);
    expect(body).toContain("A &amp; &lt;b&gt;&quot;B&quot;");
    expect(body).not.toContain("<b>&quot;");
    const style = /<style>([^]*?)<\/style>/.exec(body)![1]!;
    const hash = createHash("sha256").update(style).digest("base64");
    expect(headers["content-security-policy"]).toContain(`style-src 'sha256-${hash}'`);
    expect(headers["content-security-policy"]).toContain("default-src 'none'");
  });

  test("is linked from where a visitor without HTTPS is sent on", async () => {
    const server = await start({ here: false });
    const { body } = await ask("http", server, "/", { headers: { host: "192.168.1.20:8080" } });
    expect(body).toContain('href="http://192.168.1.20:8080/certificate"');
  });

  test("offers the certificate itself, without its key", async () => {
    const { body } = await ask("https", await start(), "/certificate.pem");
    expect(body).toBe(certificate.chain);
    expect(body).not.toContain("KEY");
  });

  test("is not there when there is nothing to explain", async () => {
    const server = await start({ current: real() });
    expect((await ask("https", server, "/certificate")).status).toBe(404);
    expect((await ask("https", server, "/certificate.pem")).status).toBe(404);
  });
});
