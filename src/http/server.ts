/** The HTTP server: the page, health and metrics through Express, `/ws` by upgrade. */
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import type { ErrorRequestHandler } from "express";
import type { LoadedPageFile } from "../embedded/page-files.ts";
import { Failure } from "../failure.ts";
import type { NodeLog } from "../node/contracts.ts";
import type { ClientOf } from "./client.ts";
import { healthRouter } from "./health.ts";
import type { Health } from "./health.ts";
import { pageRouter } from "./page.ts";
import { securityHeaders } from "./security.ts";
import type { UpgradeListener } from "./websocket.ts";

export interface HttpParts {
  health: Health;
  client: ClientOf;
  upgrade: UpgradeListener;
  pageFiles: readonly LoadedPageFile[];
  log: Pick<NodeLog, "error">;
}

/** In ms. */
export interface HttpTimes {
  /** How long a client may take over its request's head. */
  head: number;
  /** How long it may take over the whole request. */
  request: number;
  /** How often that is looked at. */
  check: number;
  /** How long a connection may idle between two requests. */
  keepAlive: number;
}

export interface HttpServer {
  /** The port that was taken, also when any would do. */
  readonly port: number;
  /** The address it listens on, for example `::`. */
  readonly host: string;
  close(): Promise<void>;
  /** Resolves, and never rejects, when it listens no more though nobody closed it. */
  readonly failed: Promise<Error>;
}

const TIMES: HttpTimes = { head: 10_000, request: 15_000, check: 2_000, keepAlive: 5_000 };

/** Listens on `host` and `port` (0: any free one). Throws a `Failure` when it cannot. */
export async function startHttp(
  parts: HttpParts,
  host: string,
  port: number,
  times = TIMES,
): Promise<HttpServer> {
  const app = express();
  app.disable("x-powered-by").disable("etag").set("trust proxy", parts.client.trust);
  app.use(healthRouter(parts.health));
  app.use(securityHeaders());
  app.use(pageRouter(parts.pageFiles));
  app.use((_request, response) => {
    response.status(404).type("text").send("There is nothing here. The page is at /\n");
  });
  app.use(onFault(parts.log));
  const server = createServer(
    {
      headersTimeout: times.head,
      requestTimeout: times.request,
      connectionsCheckingInterval: times.check,
      keepAliveTimeout: times.keepAlive,
      maxHeaderSize: 16 * 1024,
      // Whoever offers HTTP/2 with a request for the page gets the page.
      shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === "websocket",
    },
    app,
  );
  server.on("upgrade", parts.upgrade);
  const address = await listen(server, host, port);
  return {
    port: address.port,
    host: address.address,
    failed: new Promise((resolve) => server.once("error", resolve)),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Express's own shows the stack to whoever asked. It knows a handler of faults by its four parameters. */
function onFault(log: HttpParts["log"]): ErrorRequestHandler {
  return (error, _request, response, next) => {
    log.error({ err: error }, "a request could not be answered");
    if (response.headersSent) next(error);
    else response.status(500).type("text").send("Something went wrong here.\n");
  };
}

function listen(server: Server, host: string, port: number): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    const attempt = (address: string): void => {
      server.once("error", (error: NodeJS.ErrnoException) => {
        // "::" means every address; a machine without IPv6 has them all at 0.0.0.0.
        if (address === "::" && (error.code === "EAFNOSUPPORT" || error.code === "EADDRNOTAVAIL"))
          attempt("0.0.0.0");
        else reject(explained(error, address, port));
      });
      server.listen({ host: address, port, backlog: 4096 }, () => {
        server.removeAllListeners("error");
        resolve(server.address() as AddressInfo);
      });
    };
    attempt(host);
  });
}

function explained(error: NodeJS.ErrnoException, host: string, port: number): Failure {
  const cause = { cause: error };
  switch (error.code) {
    case "EADDRINUSE":
      return new Failure(
        `Port ${port} is in use already. Stop what uses it, or choose another with --port.`,
        1,
        cause,
      );
    case "EACCES":
      return new Failure(
        `Port ${port} needs rights that this user does not have. Choose one above 1023 with --port.`,
        1,
        cause,
      );
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return new Failure(`${host} is no address of this machine. Choose another with --host.`, 1, cause);
    default:
      return new Failure(`Cannot listen on ${host} port ${port}: ${error.message}`, 1, cause);
  }
}
