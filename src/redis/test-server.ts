import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { RedisMemoryServer } from "redis-memory-server";
import { freePort } from "../test-ports.ts";

/** A private, empty Redis for one test file: on a free TCP port of loopback, nothing written to disk. */
export interface TestRedis {
  host: string;
  port: number;
  /** `redis://127.0.0.1:<port>` */
  url: string;
  /** Ends the server and waits until it is gone. Calling it again does nothing. */
  stop(): Promise<void>;
}

/**
 * The Redis binary that tests run: `CHATRANDOM_REDIS_SERVER`, or the Valkey that `npm run build` made.
 * @throws Error when there is none yet.
 */
export function redisBinary(): string {
  const built = fileURLToPath(new URL("../../.cache/native/valkey-server", import.meta.url));
  const path = process.env["CHATRANDOM_REDIS_SERVER"] ?? built;
  if (!existsSync(path)) throw new Error("there is no Redis binary yet: run `npm run build` first");
  return path;
}

/**
 * Starts a Redis for tests; ready when the promise resolves. It also ends when this process is killed.
 * @param args further arguments for the server, such as `["--maxmemory", "10mb"]`
 */
export async function startTestRedis(args: string[] = []): Promise<TestRedis> {
  const server = new RedisMemoryServer({
    autoStart: false,
    binary: { systemBinary: redisBinary() },
    instance: { ip: "127.0.0.1", port: await freePort(), args },
  });
  await server.start();
  const [host, port] = [await server.getHost(), await server.getPort()];
  return {
    host,
    port,
    url: `redis://${host}:${port}`,
    async stop() {
      await server.stop();
    },
  };
}
