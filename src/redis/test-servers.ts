/** Sets of real servers for tests: a master with a replica and a Sentinel, and a Cluster. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { redisBinary } from "./test-server.ts";
import { freePort } from "../test-ports.ts";
import { until } from "../test-until.ts";

export interface TestServer {
  readonly port: number;
  /** Asks this one server, whatever it is. */
  readonly client: Redis;
  /** SIGKILL. Resolves once it is gone. */
  kill(): Promise<void>;
}

export interface TestServers {
  /** As `connectRedis` takes it. */
  readonly url: string;
  /** The server that takes what is written under `key` now. */
  masterOf(key: string): Promise<TestServer>;
  stop(): Promise<void>;
}

const answers = (question: () => Promise<boolean>): Promise<boolean> =>
  until(() => question().catch(() => false), 20);

/** Several servers, in a directory of their own; all end with this process. */
class Ensemble {
  readonly #directory = mkdtempSync(join(tmpdir(), "chatrandom-"));
  readonly #running: { child: ChildProcess; client: Redis }[] = [];

  /** @param settings lines of its configuration; `auth` is the password that it asks for */
  async start(settings: Record<string, string>, first: string[] = [], auth?: string): Promise<TestServer> {
    const port = await freePort();
    const file = join(this.#directory, `${port}.conf`);
    const all: Record<string, string> = {
      port: String(port),
      bind: "127.0.0.1",
      dir: `"${this.#directory}"`,
      dbfilename: `${port}.rdb`,
      ...settings,
    };
    const lines = Object.entries(all).map(([name, value]) => `${name} ${value}\n`);
    writeFileSync(file, lines.join(""));
    const child = spawn(redisBinary(), [file, ...first], { stdio: "ignore", env: { LC_ALL: "C" } });
    const client = new Redis(port, "127.0.0.1", {
      retryStrategy: () => 20,
      // However long the server takes to begin.
      maxRetriesPerRequest: null,
      enableReadyCheck: false,
      ...(auth && { password: auth }),
    });
    client.on("error", () => undefined);
    this.#running.push({ child, client });
    await client.ping();
    return { port, client, kill: () => end(child, client) };
  }

  async stop(): Promise<void> {
    await Promise.all(this.#running.map(({ child, client }) => end(child, client)));
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

async function end(child: ChildProcess, client: Redis): Promise<void> {
  client.disconnect();
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

const REPLICATES = { "repl-diskless-sync-delay": "0", save: '""', "repl-ping-replica-period": "1" };

/** A master, a replica of it, and one Sentinel, which needs about a second and a half for a failover. */
export async function startTestSentinel(password?: string): Promise<TestServers> {
  const servers = new Ensemble();
  try {
    const auth: Record<string, string> = password ? { requirepass: password, masterauth: password } : {};
    const master = await servers.start({ ...REPLICATES, ...auth }, [], password);
    const replicaof = `127.0.0.1 ${master.port}`;
    const replica = await servers.start({ ...REPLICATES, ...auth, replicaof }, [], password);
    await answers(async () => (await replica.client.info("replication")).includes("master_link_status:up"));
    const sentinel = await servers.start(
      {
        "sentinel monitor": `mymaster 127.0.0.1 ${master.port} 1`,
        "sentinel down-after-milliseconds": "mymaster 300",
        "sentinel failover-timeout": "mymaster 2000",
        ...(password && { "sentinel auth-pass": `mymaster ${password}` }),
      },
      ["--sentinel"],
    );
    await answers(async () => {
      const replicas = (await sentinel.client.call("SENTINEL", "REPLICAS", "mymaster")) as string[][];
      return replicas[0]?.[replicas[0].indexOf("master-link-status") + 1] === "ok";
    });
    return {
      // The first of the two is nobody.
      url: `redis+sentinel://${password ? `:${password}@` : ""}127.0.0.1:${await freePort()},127.0.0.1:${sentinel.port}/mymaster`,
      async masterOf() {
        const where = (await sentinel.client.call(
          "SENTINEL",
          "GET-MASTER-ADDR-BY-NAME",
          "mymaster",
        )) as string[];
        return [master, replica].find(({ port }) => String(port) === where[1])!;
      },
      stop: () => servers.stop(),
    };
  } catch (error) {
    await servers.stop();
    throw error;
  }
}

/** Three masters, and one replica of the one that has the slot of `key`. */
export async function startTestCluster(key: string): Promise<TestServers> {
  const servers = new Ensemble();
  try {
    const start = async (): Promise<TestServer> => {
      const bus = await freePort();
      return servers.start({
        ...REPLICATES,
        "cluster-enabled": "yes",
        "cluster-config-file": `${bus}.nodes`,
        "cluster-node-timeout": "600",
        "cluster-port": String(bus),
      });
    };
    const all = await Promise.all([start(), start(), start(), start()]);
    const [first, second, third, replica] = all as [TestServer, TestServer, TestServer, TestServer];
    const ranges = [
      [0, 5460],
      [5461, 10922],
      [10923, 16383],
    ];
    const masters = [first, second, third];
    for (const [n, { client }] of masters.entries()) {
      await client.call("CLUSTER", "ADDSLOTSRANGE", ...ranges[n]!);
      await client.call("CLUSTER", "SET-CONFIG-EPOCH", n + 1);
    }
    for (const { port, client } of all.slice(1)) {
      const bus = ((await client.config("GET", "cluster-port")) as string[])[1]!;
      await first.client.call("CLUSTER", "MEET", "127.0.0.1", port, bus);
    }
    const knows = async ({ client }: TestServer): Promise<boolean> => {
      const info = String(await client.cluster("INFO"));
      return info.includes("cluster_state:ok") && info.includes("cluster_known_nodes:4");
    };
    await answers(async () => (await Promise.all(all.map(knows))).every(Boolean));

    const slot = Number(await first.client.cluster("KEYSLOT", key));
    const concerned = masters[ranges.findIndex(([, last]) => slot <= last!)]!;
    const id = String(await concerned.client.cluster("MYID"));
    await answers(async () => (await replica.client.call("CLUSTER", "REPLICATE", id)) === "OK");
    await answers(async () => (await replica.client.info("replication")).includes("master_link_status:up"));
    const hears = async ({ client }: TestServer): Promise<boolean> =>
      String(await client.cluster("NODES")).includes(`slave ${id}`);
    await answers(async () => (await Promise.all(all.map(hears))).every(Boolean));
    return {
      url: `redis+cluster://${all.map(({ port }) => `127.0.0.1:${port}`).join(",")}`,
      async masterOf(wanted) {
        const asked = masters.find((server) => server !== concerned)!;
        const wantedSlot = Number(await asked.client.cluster("KEYSLOT", wanted));
        const slots = (await asked.client.call("CLUSTER", "SLOTS")) as [number, number, [string, number]][];
        const [, , [, port]] = slots.find(([from, to]) => from <= wantedSlot && wantedSlot <= to)!;
        return all.find((server) => server.port === port)!;
      },
      stop: () => servers.stop(),
    };
  } catch (error) {
    await servers.stop();
    throw error;
  }
}
