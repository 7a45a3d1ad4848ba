/**
 * The WebSocket as a visitor's page opens it. Proxies break it in many ways, and a page that loads but never connects is
 * the first thing an operator sees. It says hello, as the servers for calls are only told then: a visitor more for some
 * seconds.
 */
import { WebSocket } from "ws";
import type { IceServer, ServerMessage } from "../protocol/messages.ts";
import { SUBPROTOCOL } from "../protocol/messages.ts";
import { type Finding, fine, spelled, wrong } from "./finding.ts";

export type Attempt =
  | { readonly is: "welcomed"; readonly iceServers: readonly IceServer[] }
  /** The upgrade was answered with something else. */
  | { readonly is: "answered"; readonly status: number; readonly body: string }
  /** It opened, and was closed before the welcome. */
  | { readonly is: "closed"; readonly code: number }
  /** It opened, and nothing came. */
  | { readonly is: "silent" }
  | { readonly is: "failed"; readonly message: string };

const WELCOME_MS = 8_000;
const MOST_BYTES = 2_048;

/** `origin` is that of the page, such as `https://chat.example.org`. */
export function tryWebSocket(origin: string): Promise<Attempt> {
  return new Promise((resolve) => {
    const socket = new WebSocket(`${origin.replace(/^http/, "ws")}/ws`, SUBPROTOCOL, {
      origin,
      rejectUnauthorized: false,
      handshakeTimeout: WELCOME_MS,
    });
    let opened = false;
    const end = (attempt: Attempt): void => {
      clearTimeout(late);
      resolve(attempt);
      socket.terminate();
    };
    const late = setTimeout(() => end({ is: "silent" }), 2 * WELCOME_MS);
    socket.on("open", () => {
      opened = true;
      socket.send(JSON.stringify({ type: "hello" }));
    });
    socket.on("message", (data) => {
      const message = read(String(data));
      if (message?.type === "welcome") end({ is: "welcomed", iceServers: message.iceServers });
    });
    socket.on("unexpected-response", (_request, response) => {
      let body = "";
      const tell = (): void => end({ is: "answered", status: response.statusCode!, body });
      response.setEncoding("utf8").on("data", (text: string) => {
        body += text;
        if (body.length > MOST_BYTES) tell();
      });
      response.once("end", tell).once("error", tell);
    });
    socket.on("close", (code) => {
      if (opened) end({ is: "closed", code });
    });
    socket.on("error", ({ message }) => {
      if (!opened) end({ is: "failed", message });
    });
  });
}

function read(text: string): ServerMessage | undefined {
  try {
    return JSON.parse(text) as ServerMessage;
  } catch {
    return undefined;
  }
}

const CHECK = "websocket";
const PASS_UPGRADE =
  "let the proxy pass the upgrade on; nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; " +
  "proxy_set_header Connection $connection_upgrade;";
const PASS_HEADERS =
  "let the proxy pass all headers that begin with Sec-WebSocket- on, in both directions, as they are";

export function judgeWebSocket(attempt: Attempt, origin: string): Finding {
  const where = `${origin.replace(/^http/, "ws")}/ws`;
  switch (attempt.is) {
    case "welcomed":
      return fine(CHECK, `${where} takes visitors`);
    case "answered":
      return judgeAnswer(attempt, where);
    case "silent":
      return wrong(
        CHECK,
        `${where} opens, but no message comes through`,
        "let the proxy pass messages on at once, without a buffer; nginx: proxy_buffering off;",
      );
    case "closed":
      return judgeClose(attempt.code, where);
    case "failed":
      if (/subprotocol/i.test(attempt.message))
        return wrong(CHECK, `${where}: the proxy takes the subprotocol out of the answer`, PASS_HEADERS);
      if (/Sec-WebSocket-Accept|Upgrade header/i.test(attempt.message))
        return wrong(CHECK, `${where}: the answer is no right upgrade (${attempt.message})`, PASS_HEADERS);
      return wrong(CHECK, `${where} cannot be opened: ${attempt.message}`, PASS_UPGRADE);
  }
}

function judgeAnswer({ status, body }: Extract<Attempt, { is: "answered" }>, where: string): Finding {
  if (body.includes("Offer the subprotocol"))
    return wrong(CHECK, `${where}: the proxy takes the subprotocol out of the request`, PASS_HEADERS);
  if (body.includes("Pages of this origin"))
    return wrong(
      CHECK,
      `${where} refuses its own page: the proxy changes the header Host`,
      `let it pass Host on as it came (nginx: proxy_set_header Host $http_host;), or name the page's origin in ${spelled("http.allowed_origins")}`,
    );
  if (body.includes("http.trusted_proxies"))
    return wrong(
      CHECK,
      `${where}: the proxy that ends HTTPS is not trusted`,
      `name its address in ${spelled("http.trusted_proxies")}`,
    );
  if (/Sec-WebSocket-/i.test(body))
    return wrong(CHECK, `${where}: the proxy takes headers out of the request (${status})`, PASS_HEADERS);
  switch (status) {
    case 426:
      return wrong(
        CHECK,
        `${where} wants HTTPS`,
        `open the page with https://, or let the proxy tell it with X-Forwarded-Proto and name it in ${spelled("http.trusted_proxies")}`,
      );
    case 429:
      return wrong(
        CHECK,
        `${where} takes no more connections from this address`,
        `visitors behind a proxy share its address until it is named in ${spelled("http.trusted_proxies")}`,
      );
    case 502:
    case 503:
    case 504:
      return wrong(
        CHECK,
        `${where}: ChatRandom is not there or is going away (${status})`,
        "try again; if it stays, look at the log",
      );
    default:
      return wrong(CHECK, `${where}: the upgrade is not passed on (${status})`, PASS_UPGRADE);
  }
}

function judgeClose(code: number, where: string): Finding {
  if (code === 4500)
    return wrong(CHECK, `${where} has banned this machine`, "try from another address, or lift the ban");
  if (code === 4504) return fine(CHECK, `${where} asks for an invitation or a proof, so no more can be seen`);
  return wrong(
    CHECK,
    `${where} opens, and is closed before the first message (${code})`,
    "let the proxy keep connections open, an hour or more; nginx: proxy_read_timeout 60s; is enough",
  );
}
