/** The page and the WebSocket, through proxies that break them in every usual way. */
import { createServer as createHttp, type RequestListener } from "node:http";
import { createServer as createHttps } from "node:https";
import type { AddressInfo, Server } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { places } from "../scenarios/place.ts";
import { createSelfSigned } from "../tls/self-signed.ts";
import type { Finding } from "./finding.ts";
import { judgeSite, visit, type Visit } from "./site.ts";
import { type Faults, startTestProxy, without } from "./test-proxy.ts";
import { type Attempt, judgeWebSocket, tryWebSocket } from "./websocket.ts";

const open = places();

/** A node behind a proxy with faults. */
async function behind(faults: Faults): Promise<string> {
  const place = await open();
  const proxy = await startTestProxy(place.first.http.port, faults);
  onTestFinished(() => proxy.close());
  return proxy.origin;
}

const tried = async (faults: Faults): Promise<Finding> => {
  const origin = await behind(faults);
  return judgeWebSocket(await tryWebSocket(origin), origin);
};

const status =
  (line: string, more = "") =>
  (): string =>
    `HTTP/1.1 ${line}\r\nContent-Length: 0\r\n${more}Connection: close\r\n\r\n`;

describe("the WebSocket", () => {
  test("through a proxy that is right: a visitor is welcomed, and told the servers for calls", async () => {
    const origin = await behind({});
    const attempt = await tryWebSocket(origin);
    expect(attempt).toEqual({ is: "welcomed", iceServers: [{ urls: ["stun:stun.example:3478"] }] });
    expect(judgeWebSocket(attempt, origin).level).toBe("fine");
  });

  test.each<[string, Faults, RegExp, RegExp]>([
    [
      "drops the upgrade",
      { request: without("upgrade", "connection") },
      /the upgrade is not passed on \(404\)/,
      /proxy_set_header Upgrade/,
    ],
    [
      "does not pass Connection",
      { request: without("connection") },
      /the upgrade is not passed on \(404\)/,
      /proxy_set_header Connection/,
    ],
    [
      "takes the subprotocol out of the request",
      { request: without("sec-websocket-protocol") },
      /takes the subprotocol out of the request/,
      /Sec-WebSocket-/,
    ],
    [
      "takes the subprotocol out of the answer",
      { response: without("sec-websocket-protocol") },
      /takes the subprotocol out of the answer/,
      /Sec-WebSocket-/,
    ],
    [
      "takes the key out of the request",
      { request: without("sec-websocket-key") },
      /takes headers out of the request/,
      /Sec-WebSocket-/,
    ],
    [
      "takes the acceptance out of the answer",
      { response: without("sec-websocket-accept") },
      /no right upgrade/,
      /Sec-WebSocket-/,
    ],
    [
      "changes Host",
      { request: (head) => head.replace(/^host:.*$/im, "Host: backend") },
      /changes the header Host/,
      /proxy_set_header Host.*--http-allowed-origins/,
    ],
    ["refuses the upgrade", { response: status("403 Forbidden") }, /not passed on \(403\)/, /upgrade/],
    ["does not reach us", { response: status("502 Bad Gateway") }, /going away \(502\)/, /log/],
    ["wants HTTPS", { response: status("426 Upgrade Required") }, /wants HTTPS/, /--http-trusted-proxies/],
    ["limits us", { response: status("429 Too Many") }, /no more connections/, /--http-trusted-proxies/],
    ["closes at once", { cut: true, mute: true }, /is closed before the first message/, /proxy_read_timeout/],
  ])("through a proxy that %s", async (_, faults, text, advice) => {
    const finding = await tried(faults);
    expect(finding).toMatchObject({
      check: "websocket",
      level: "wrong",
      text: expect.stringMatching(text),
      advice: expect.stringMatching(advice),
    });
  });

  test("where nothing listens", async () => {
    const proxy = await startTestProxy(1);
    await proxy.close();
    expect(judgeWebSocket(await tryWebSocket(proxy.origin), proxy.origin)).toMatchObject({
      level: "wrong",
      text: expect.stringContaining("ECONNREFUSED"),
    });
  });

  test.each<[Attempt, string]>([
    [{ is: "silent" }, "wrong"],
    [{ is: "closed", code: 4500 }, "wrong"],
    [{ is: "closed", code: 4504 }, "fine"],
    [{ is: "answered", status: 403, body: "name the proxy's address in http.trusted_proxies." }, "wrong"],
  ])("%o is %s", (attempt, level) => expect(judgeWebSocket(attempt, "https://h").level).toBe(level));
});

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return (server.address() as AddressInfo).port;
}

const NOW = Date.now();
const DAY = 86_400_000;
const alive: RequestListener = (_, response) => response.end('{"alive":true}');
const look = async (url: string): Promise<Finding[]> =>
  judgeSite(await visit(new URL(url), Date.now), NOW, false);

describe("the page", () => {
  test("of a node, with the time that it tells", async () => {
    const origin = await behind({});
    const visited = await visit(new URL(origin), Date.now);
    expect(visited).toMatchObject({
      origin,
      status: 200,
      date: { at: expect.any(Number) },
      address: "127.0.0.1",
    });
    expect(judgeSite(visited, NOW, false)).toEqual([
      { check: "page", level: "fine", text: `${origin} is a ChatRandom` },
    ]);
  });

  test("a visitor who is sent on is followed, but not for ever", async () => {
    const goal = await listening(createHttp(alive));
    const port = await listening(
      createHttp(({ url }, response) =>
        response.writeHead(308, { Location: `http://127.0.0.1:${goal}${url}` }).end(),
      ),
    );
    expect(await visit(new URL(`http://127.0.0.1:${port}`), Date.now)).toMatchObject({
      origin: `http://127.0.0.1:${goal}`,
      status: 200,
    });
    const round = await listening(
      createHttp((_, response) => response.writeHead(302, { Location: "/" }).end()),
    );
    expect(await look(`http://127.0.0.1:${round}`)).toMatchObject([{ level: "wrong" }]);
  });

  test.each([
    ["something else", "200 OK", /something else/],
    ["a proxy that does not reach us", "502 Bad Gateway", /does not reach ChatRandom/],
  ])("%s", async (_, line, text) => {
    const origin = await behind({ response: status(line), mute: true });
    expect(await look(origin)).toMatchObject([{ level: "wrong", text: expect.stringMatching(text) }]);
  });

  test("nothing at all, a name without an address, and HTTPS where there is none", async () => {
    const port = await listening(createHttp(alive));
    expect(await look(`https://127.0.0.1:${port}`)).toMatchObject([
      { level: "wrong", text: expect.stringContaining("speaks no HTTPS") },
    ]);
    expect(await look("http://nobody.invalid")).toMatchObject([
      { level: "wrong", text: expect.stringContaining("has no address") },
    ]);
    const proxy = await startTestProxy(1);
    await proxy.close();
    expect(await look(proxy.origin)).toMatchObject([
      { level: "wrong", text: expect.stringContaining("nothing listens") },
    ]);
  });

  test("plain HTTP is fine on this machine only", () => {
    const visited: Visit = { origin: "http://chat.example.org", status: 200, body: '{"alive":true}' };
    expect(judgeSite(visited, NOW, false)).toMatchObject([
      { check: "HTTPS", level: "wrong" },
      { level: "fine" },
    ]);
  });
});

describe("its certificate", () => {
  const served = async (validFrom: number, lifetime: number): Promise<string> => {
    const { chain, key } = await createSelfSigned(["127.0.0.1"], validFrom, lifetime);
    return `https://127.0.0.1:${await listening(createHttps({ cert: chain, key }, alive))}`;
  };

  test("one that ran out", async () => {
    const url = await served(NOW - 10 * DAY, 9 * DAY);
    expect(await look(url)).toMatchObject([
      { check: "HTTPS", level: "wrong", text: expect.stringContaining("ran out on") },
      { check: "page", level: "fine" },
    ]);
  });

  test("a self-signed one is what the configuration wants, or wrong", async () => {
    const visited = await visit(new URL(await served(NOW, 90 * DAY)), Date.now);
    expect(judgeSite(visited, NOW, false)[0]).toMatchObject({
      level: "wrong",
      text: expect.stringContaining("it is self-signed"),
    });
    expect(judgeSite(visited, NOW, true)[0]).toMatchObject({
      level: "warning",
      advice: expect.stringContaining("--tls"),
    });
  });

  test.each([
    [{ until: NOW + 90 * DAY }, "fine", "is trusted"],
    [{ until: NOW + 3 * DAY }, "warning", "runs out on"],
    // One of a short life that was renewed in time.
    [{ from: NOW - 4 * DAY, until: NOW + 2 * DAY }, "fine", "is trusted"],
    [{ until: NOW + 90 * DAY, refused: "ERR_TLS_CERT_ALTNAME_INVALID" }, "wrong", "for another name"],
    [{ until: NOW + 90 * DAY, refused: "UNABLE_TO_VERIFY_LEAF_SIGNATURE" }, "wrong", "chain is not complete"],
  ])("%o is %s", (seen, level, text) => {
    const certificate = { from: NOW - 60 * DAY, ...seen };
    const visited = { origin: "https://chat.example.org", status: 200, body: '{"alive":true}', certificate };
    expect(judgeSite(visited, NOW, false)[0]).toMatchObject({ level, text: expect.stringContaining(text) });
  });
});
