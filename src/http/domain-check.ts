/** HTTP-01: answers the authority that checks whether the domain leads here. It asks without HTTPS. */
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { Router } from "express";
import type { DomainChecks } from "../tls/domain-checks.ts";
import { listen } from "./listen.ts";

const PATH = "/.well-known/acme-challenge/";
/** Tokens are base64url of at least 128 bits. */
const TOKEN = /^[\w-]{20,128}$/;

/** Answers checks and leaves everything else to others. */
export function domainCheckRouter(checks: DomainChecks): Router {
  const router = Router();
  router.get(`${PATH}:token`, async (request, response) => {
    const answer = await answerTo(request.params.token, checks);
    response.set("Cache-Control", "no-store").type("text");
    if (answer === undefined) response.status(404).send("Nobody asked for this.\n");
    else response.send(answer);
  });
  return router;
}

const answerTo = async (token: string, checks: DomainChecks): Promise<string | undefined> =>
  TOKEN.test(token) ? checks.overHttp(token) : undefined;

export interface DomainCheckServer {
  readonly port: number;
  close(): Promise<void>;
}

export interface DomainCheckParts {
  readonly checks: DomainChecks;
  /** Where everybody else is sent, such as `https://chat.example`. */
  readonly origin: string;
  /** Whether other processes may listen there too. */
  readonly reusePort?: boolean;
}

/** Answers checks on a port of its own. Throws a `Failure` when it cannot listen. */
export async function startDomainCheckServer(
  { checks, origin, reusePort = false }: DomainCheckParts,
  host: string,
  port: number,
): Promise<DomainCheckServer> {
  const serve: RequestListener = (request, response) => {
    const path = request.url?.startsWith("/") ? request.url : "/";
    const answering = path.startsWith(PATH)
      ? answerTo(path.slice(PATH.length), checks)
      : Promise.resolve(undefined);
    void answering
      .catch(() => undefined)
      .then((answer) => {
        const headers = {
          "Content-Type": "text/plain; charset=utf-8",
          "Cache-Control": "no-store",
          Connection: "close",
        };
        if (answer !== undefined) response.writeHead(200, headers).end(answer);
        else
          response
            .writeHead(308, { ...headers, Location: origin + path })
            .end(`This page is at ${origin}${path}\n`);
      });
  };
  const server = createServer(
    {
      headersTimeout: 10_000,
      requestTimeout: 10_000,
      connectionsCheckingInterval: 2_000,
      maxHeaderSize: 16 * 1024,
    },
    serve,
  );
  const address: AddressInfo = await listen(server, host, port, "acme.http_port", reusePort);
  // After it listens a fault of this server is no reason to stop serving visitors.
  server.on("error", () => {});
  return {
    port: address.port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
