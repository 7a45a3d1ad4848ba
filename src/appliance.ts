/** An appliance with several workers: what they share is here, and each of them is a node as `app.ts` composes it. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import type { Running } from "./app.ts";
import { realClock } from "./clock.ts";
import type { Config } from "./config/options.ts";
import { startEmbeddedRedis } from "./embedded/redis.ts";
import { listen } from "./http/listen.ts";
import { requireCluster } from "./links/cluster.ts";
import { listenEndpoint } from "./links/endpoint.ts";
import type { Logger } from "./log.ts";
import { newNodeId } from "./node/node-id.ts";
import type { Share } from "./workers/messages.ts";
import { openRelayFor } from "./relay/embedded-relay.ts";
import { startWorkerProcess } from "./workers/process.ts";
import { supervise } from "./workers/supervisor.ts";

/** Beyond the drain; workers that hang end themselves a little earlier. */
const STOP_MARGIN_MS = 3_500;

/**
 * Runs `workers` nodes of this machine on one port. Throws a `Failure` when they cannot start, or when `stopping` tells
 * that they need not any more; nothing is left running then.
 */
export async function runWorkers(
  kind: "serve" | "join",
  config: Config,
  log: Logger,
  stopping: AbortSignal,
  workers: number,
): Promise<Running> {
  const undo: (() => Promise<void> | void)[] = [];
  let stopped: Promise<void> | undefined;
  const endAll = async (): Promise<void> => {
    for (const end of undo.splice(0).reverse()) await end();
  };

  try {
    if (kind === "join") requireCluster(config);
    let shareOf: (worker: number, life: number) => Pick<Share, "redis" | "link">;
    if (kind === "serve") {
      const embedded = await startEmbeddedRedis({
        dataDir: config.data_dir,
        maxMemory: config.embedded.max_memory,
        log,
        stopping,
      });
      undo.push(() => embedded.stop());
      const directory = linkDirectory(dirname(embedded.path));
      undo.push(() => rmSync(directory, { recursive: true, force: true }));
      const secret = randomBytes(32).toString("hex");
      shareOf = (_worker, life) => ({
        redis: embedded.path,
        link: { listen: `ipc://${join(directory, nameOf(life))}`, secret },
      });
    } else {
      const { bind, port, secret } = config.link;
      // Abstract sockets: there may be no data directory yet, and nothing is left of them however we end.
      const directory = `@chatrandom-${randomBytes(16).toString("hex")}`;
      shareOf = (worker, life) => ({
        link: {
          listen: listenEndpoint(bind, port === 0 ? 0 : port + worker),
          local: `ipc://${directory}/${nameOf(life)}`,
          secret,
        },
      });
    }
    const port = await freePort(config.host, config.port);
    const relay = await openRelayFor(kind, config, log, stopping);
    undo.push(() => relay?.stop());
    const started = relay?.start();
    // Heard below.
    started?.catch(() => {});
    const nodes = new Map<number, string>();
    const nodesOf = (worker: number): Pick<Share, "node" | "before"> => {
      const [node, before] = [newNodeId(), nodes.get(worker)];
      nodes.set(worker, node);
      return { node, before };
    };
    const supervisor = await supervise({
      workers,
      stopping,
      orders: (worker, life) => ({
        kind,
        config,
        share: { worker, port, relay: relay?.shared(), ...nodesOf(worker), ...shareOf(worker, life) },
      }),
      start: startWorkerProcess,
      relay,
      stopWithin: config.drain_timeout + STOP_MARGIN_MS,
      log,
      clock: realClock,
    });
    undo.push(() => supervisor.stop());
    await started;
    return {
      url: `http://localhost:${port}/`,
      port,
      ...supervisor.opened,
      relay: relay?.shared(),
      // Whatever ends is started again.
      failed: new Promise(() => {}),
      stop: () => (stopped ??= endAll()),
    };
  } catch (error) {
    await endAll();
    throw error;
  }
}

/** The name of a worker's socket, of its own for each life: nobody dials a dead worker and gets its successor. */
const nameOf = (life: number): string => life.toString(36);

/**
 * A fresh directory, ours alone, for the sockets of the links. Beside that of Redis, where sockets are known to work, and
 * with paths that are no longer, since 107 bytes are the most. Those of runs that were killed are removed.
 */
function linkDirectory(beside: string): string {
  for (const name of readdirSync(beside)) {
    if (/^w[A-Za-z0-9]{6}$/.test(name)) rmSync(join(beside, name), { recursive: true, force: true });
  }
  return mkdtempSync(join(beside, "w"));
}

/**
 * The port to share, chosen when any will do. It is taken for a moment without sharing: the workers themselves would be
 * let in beside those of another appliance, and each would get some of the visitors.
 */
async function freePort(host: string, port: number): Promise<number> {
  const server = createServer();
  const address = await listen(server, host, port);
  await new Promise((resolve) => server.close(resolve));
  return address.port;
}
