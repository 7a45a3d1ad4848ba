/** A server with HTTPS for tests, as strangers meet it, and the ways to ask it. */
import { once } from "node:events";
import { request as requestPlain } from "node:http";
import type { IncomingHttpHeaders, RequestOptions } from "node:http";
import { request as requestSecure } from "node:https";
import { connect as connectPlain } from "node:net";
import type { Socket } from "node:net";
import { connect as connectSecure } from "node:tls";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { afterEach, beforeAll } from "vitest";
import { WebSocketServer } from "ws";
import { StillClock } from "../still-clock.ts";
import type { Certificate } from "../tls/certificate.ts";
import { createSelfSigned } from "../tls/self-signed.ts";
import { clientOf } from "./client.ts";
import { startHttp } from "./server.ts";
import type { HttpParts, HttpServer, HttpsParts } from "./server.ts";

export let certificate: Certificate;
beforeAll(async () => {
  certificate = await createSelfSigned(["localhost", "127.0.0.1"], Date.now());
});

/** A certificate that an authority stands behind, as far as the server can see. */
export const real = (): Certificate => ({ ...certificate, selfSigned: false });

export interface Options extends Partial<HttpsParts> {
  /** Whether what the test sends counts as coming from this machine. */
  here?: boolean;
  trusted?: string[];
  current?: Certificate;
  off?: boolean;
  room?: HttpParts["room"];
}

export interface Started extends HttpServer {
  clock: StillClock;
  dropped: string[];
  /** What new connections are shown. */
  source: { current: Certificate; stop(): void };
}

const open: HttpServer[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of open.splice(0)) await server.close();
});

export async function start({
  here = true,
  trusted = [],
  current = certificate,
  off,
  room,
  ...https
}: Options = {}): Promise<Started> {
  const clock = new StillClock();
  const dropped: string[] = [];
  const source = { current, stop() {} };
  const echo = new WebSocketServer({ noServer: true });
  const server = await startHttp(
    {
      health: { notReady: () => [], metrics: async () => ({ contentType: "text/plain", text: "" }) },
      client: { ...clientOf(trusted, []), isHere: () => here },
      upgrade: (request, socket, head) =>
        echo.handleUpgrade(request, socket, head, (socket) =>
          socket.on("message", (data) => socket.send(data)),
        ),
      pageFiles: [],
      log: { error() {} },
      ...(room && { room }),
      https: off
        ? undefined
        : {
            certificates: source,
            clock,
            dropped: (reason) => void dropped.push(reason),
            name: "Here",
            ...https,
          },
    },
    "127.0.0.1",
    0,
  );
  open.push(server);
  return Object.assign(server, { clock, dropped, source });
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

export function ask(
  scheme: "http" | "https",
  { port }: HttpServer,
  path: string,
  options: RequestOptions = {},
): Promise<Answer> {
  const request = scheme === "http" ? requestPlain : requestSecure;
  return new Promise((resolve, reject) => {
    const asked = request({
      port,
      host: "127.0.0.1",
      path,
      agent: false,
      rejectUnauthorized: false,
      ...options,
    } as RequestOptions);
    asked.on("error", reject).on("response", (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => void (body += text));
      response.on("end", () => resolve({ status: response.statusCode!, headers: response.headers, body }));
    });
    asked.end();
  });
}

export function plain({ port }: HttpServer): Socket {
  const socket = connectPlain(port, "127.0.0.1").on("error", () => {});
  sockets.push(socket);
  return socket;
}

export async function secure({ port }: HttpServer, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connectSecure({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
  sockets.push(socket);
  await once(socket, "secureConnect");
  return socket.on("error", () => {});
}

/** Everything that comes until the other side closes. */
export async function rest(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (chunk) => void (text += String(chunk)));
  if (!socket.closed) await once(socket, "close");
  return text;
}
