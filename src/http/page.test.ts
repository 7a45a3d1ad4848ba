import { createHash } from "node:crypto";
import { request } from "node:http";
import type { IncomingHttpHeaders } from "node:http";
import { brotliCompressSync, brotliDecompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LoadedPageFile } from "../embedded/page-files.ts";
import { clientOf } from "./client.ts";
import { startHttp } from "./server.ts";
import type { HttpServer } from "./server.ts";

const file = (
  path: string,
  type: string,
  text: string,
  more: Partial<LoadedPageFile> = {},
): LoadedPageFile => {
  const content = new Uint8Array(Buffer.from(text));
  const hash = createHash("sha256").update(content).digest("base64url");
  return { path, type, hash, bytes: content.byteLength, immutable: false, asset: path, content, ...more };
};
const script = "export const answer = 42;\n".repeat(20);
const files = [
  file("/", "text/html; charset=utf-8", "<!doctype html><title>Here</title>"),
  file("/assets/main-ABC.js", "text/javascript; charset=utf-8", script, {
    immutable: true,
    compressed: new Uint8Array(brotliCompressSync(script)),
  }),
];

let server: HttpServer;
beforeAll(async () => {
  const health = { notReady: () => [], metrics: async () => ({ contentType: "text/plain", text: "" }) };
  const parts = {
    health,
    client: clientOf([], []),
    upgrade: () => {},
    pageFiles: files,
    log: { error() {} },
  };
  server = await startHttp(parts, "127.0.0.1", 0);
});
afterAll(() => server.close());

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** `fetch` decodes and adds headers; this shows what is on the wire. */
function ask(path: string, headers: Record<string, string> = {}, method = "GET"): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asking = request(
      { port: server.port, host: "127.0.0.1", path, method, headers, agent: false },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on("data", (chunk: Buffer) => chunks.push(chunk));
        answer.on("end", () =>
          resolve({ status: answer.statusCode!, headers: answer.headers, body: Buffer.concat(chunks) }),
        );
      },
    );
    asking.on("error", reject);
    asking.end();
  });
}

test("the document is served as it is, to be asked for again each time", async () => {
  const { status, headers, body } = await ask("/");
  expect(status).toBe(200);
  expect(headers).toMatchObject({
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-cache",
    vary: "Accept-Encoding",
    etag: `"${files[0]!.hash}"`,
    "content-length": String(body.byteLength),
  });
  expect(headers["content-encoding"]).toBeUndefined();
  expect(String(body)).toContain("<title>Here</title>");
});

test("a query does not change what is served", async () => {
  expect((await ask("/?room=1")).status).toBe(200);
});

test("a hashed file is for ever", async () => {
  const { headers, body } = await ask("/assets/main-ABC.js");
  expect(headers["cache-control"]).toBe("public, max-age=31536000, immutable");
  expect(String(body)).toBe(script);
});

describe("brotli", () => {
  test("goes to who takes it", async () => {
    const { headers, body } = await ask("/assets/main-ABC.js", {
      "Accept-Encoding": "gzip, deflate, br, zstd",
    });
    expect(headers["content-encoding"]).toBe("br");
    expect(headers["content-type"]).toBe("text/javascript; charset=utf-8");
    expect(headers["content-length"]).toBe(String(body.byteLength));
    expect(String(brotliDecompressSync(body))).toBe(script);
  });

  test.each([undefined, "", "gzip", "identity", "br;q=0, gzip"])("and to nobody else: %s", async (accept) => {
    const { headers, body } = await ask(
      "/assets/main-ABC.js",
      accept === undefined ? {} : { "Accept-Encoding": accept },
    );
    expect(headers["content-encoding"]).toBeUndefined();
    expect(String(body)).toBe(script);
  });

  test("has a tag of its own, as the two are not the same bytes", async () => {
    const [plain, packed] = [
      await ask("/assets/main-ABC.js"),
      await ask("/assets/main-ABC.js", { "Accept-Encoding": "br" }),
    ];
    expect(plain.headers.etag).not.toBe(packed.headers.etag);
    expect((await ask("/assets/main-ABC.js", { "If-None-Match": packed.headers.etag! })).status).toBe(200);
  });

  test("is left out where there is none", async () => {
    expect((await ask("/", { "Accept-Encoding": "br" })).headers["content-encoding"]).toBeUndefined();
  });
});

test("what the browser has already is not sent again", async () => {
  for (const headers of [{ "Accept-Encoding": "gzip" }, { "Accept-Encoding": "br" }]) {
    const { etag } = (await ask("/assets/main-ABC.js", headers)).headers;
    const again = await ask("/assets/main-ABC.js", { ...headers, "If-None-Match": etag! });
    expect(again.status).toBe(304);
    expect(again.body.byteLength).toBe(0);
    expect(again.headers).toMatchObject({ etag, "cache-control": "public, max-age=31536000, immutable" });
    expect(again.headers["content-encoding"]).toBeUndefined();
  }
  expect((await ask("/", { "If-None-Match": `W/"${files[0]!.hash}"` })).status).toBe(304);
  expect((await ask("/", { "If-None-Match": '"another"' })).status).toBe(200);
});

test("HEAD answers as GET does, without the content", async () => {
  for (const path of ["/", "/assets/main-ABC.js"]) {
    const [head, get] = [
      await ask(path, { "Accept-Encoding": "br" }, "HEAD"),
      await ask(path, { "Accept-Encoding": "br" }),
    ];
    expect(head.status).toBe(200);
    expect(head.body.byteLength).toBe(0);
    expect({ ...head.headers, date: "" }).toEqual({ ...get.headers, date: "" });
  }
});

test.each(["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])("%s is not allowed on the page", async (method) => {
  const { status, headers } = await ask("/", {}, method);
  expect(status).toBe(405);
  expect(headers.allow).toBe("GET, HEAD");
});

test.each([
  "/nothing",
  "/assets/",
  "/assets/main-ABC.js/",
  "/assets/../assets/main-ABC.js",
  "/%2e%2e/%2e%2e/etc/passwd",
  "//",
  "/%",
  "/%ff",
  "/index.html",
  "/constructor",
  "/__proto__",
])("%s is not there, and says no more than that", async (path) => {
  const { status, headers, body } = await ask(path);
  expect(status).toBe(404);
  expect(headers["content-type"]).toBe("text/plain; charset=utf-8");
  expect(String(body)).toBe("There is nothing here. The page is at /\n");
});

test.each(["/", "/assets/main-ABC.js", "/nothing"])("the security headers are on %s", async (path) => {
  const { headers } = await ask(path);
  const policy = Object.fromEntries(
    headers["content-security-policy"]!.toString()
      .split(";")
      .map((directive) => {
        const [name, ...sources] = directive.trim().split(" ");
        return [name, sources.join(" ")];
      }),
  );
  expect(policy).toMatchObject({
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
  });
  expect(JSON.stringify(policy)).not.toMatch(/unsafe|\*|data:|https?:/);
  const permissions = headers["permissions-policy"]!;
  expect(permissions).toContain("camera=(self)");
  expect(permissions).toContain("microphone=(self)");
  expect(permissions).toContain("geolocation=()");
  expect(headers).toMatchObject({
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
  });
  expect(headers["strict-transport-security"]).toBeUndefined();
  expect(headers["x-powered-by"]).toBeUndefined();
});
