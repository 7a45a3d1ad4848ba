/** The HTTP server: the page, health and metrics through Express, `/ws` by upgrade. */
import { createServer } from "node:http";
import express from "express";
import type { ErrorRequestHandler } from "express";
import type { LoadedPageFile } from "../embedded/page-files.ts";
import type { NodeLog } from "../node/contracts.ts";
import type { DomainChecks } from "../tls/domain-checks.ts";
import { sharePort } from "../tls/shared-port.ts";
import type { SharedPortParts } from "../tls/shared-port.ts";
import { certificateRouter } from "./certificate-page.ts";
import type { ClientOf } from "./client.ts";
import { domainCheckRouter } from "./domain-check.ts";
import { healthRouter } from "./health.ts";
import type { Health } from "./health.ts";
import { listen } from "./listen.ts";
import { pageRouter } from "./page.ts";
import { httpsOnly, secureUpgradesOnly } from "./plain.ts";
import { securityHeaders } from "./security.ts";
import type { UpgradeListener } from "./upgrade.ts";

/** HTTPS on the same port. */
export interface HttpsParts extends SharedPortParts {
  readonly checks?: DomainChecks;
  /** What the place is called. */
  readonly name: string;
}

export interface HttpParts {
  health: Health;
  client: ClientOf;
  upgrade: UpgradeListener;
  pageFiles: readonly LoadedPageFile[];
  log: Pick<NodeLog, "error">;
  /** Without it the port speaks HTTP only, to everybody. */
  https?: HttpsParts;
  /** Whether other processes listen on the same port. */
  reusePort?: boolean;
  /**
   * How many connections may be open while so many have not said yet what they want, asked for each new one. One more is
   * closed at once, and told.
   */
  room?: { most(arrivals: number): number; full(): void };
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
  /** How long a client may take nothing of an answer that waits for it. */
  stalled: number;
}

export interface HttpServer {
  /** The port that was taken, also when any would do. */
  readonly port: number;
  /** The address it listens on, for example `::`. */
  readonly host: string;
  /** How many connections have not said yet what they want; see `sharePort`. */
  readonly arrivals: number;
  close(): Promise<void>;
  /** Resolves, and never rejects, when it listens no more though nobody closed it. */
  readonly failed: Promise<Error>;
}

const TIMES: HttpTimes = { head: 10_000, request: 15_000, check: 2_000, keepAlive: 5_000, stalled: 30_000 };

/** Listens on `host` and `port` (0: any free one). Throws a `Failure` when it cannot. */
export async function startHttp(
  parts: HttpParts,
  host: string,
  port: number,
  times = TIMES,
): Promise<HttpServer> {
  const { https, client } = parts;
  const app = express();
  app.disable("x-powered-by").disable("etag").set("trust proxy", client.trust);
  if (https) {
    if (https.checks) app.use(domainCheckRouter(https.checks));
    app.use(certificateRouter(https.certificates, https.name), httpsOnly(client, https.certificates));
  }
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
  // What is upgraded has its own deadlines, and takes this one off.
  server.timeout = times.stalled;
  server.on("upgrade", https ? secureUpgradesOnly(parts.upgrade, client) : parts.upgrade);
  const { room } = parts;
  if (room) {
    // At the limit of open files libuv closes them as well, but nobody is told, and nothing is left for anything else.
    Object.defineProperty(server, "maxConnections", { get: () => room.most(shared?.arrivals ?? 0) });
    server.on("drop", () => room.full());
  }
  const shared = https && sharePort(server, https);
  const address = await listen(server, host, port, "--port", parts.reusePort).catch((error: unknown) => {
    shared?.close();
    throw error;
  });
  return {
    port: address.port,
    host: address.address,
    get arrivals() {
      return shared?.arrivals ?? 0;
    },
    failed: new Promise((resolve) => server.once("error", resolve)),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
        shared?.close();
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
