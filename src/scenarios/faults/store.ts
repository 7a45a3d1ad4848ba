/** A Redis that a scenario can kill, stop and start again, always at the same port. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { Redis } from "ioredis";
import { PREFIX, poolKeys } from "../../redis/keys.ts";
import { redisBinary } from "../../redis/test-server.ts";
import { freePort } from "../../test-ports.ts";

export class Store {
  readonly port: number;
  #child: ChildProcess | undefined;

  private constructor(port: number) {
    this.port = port;
  }

  static async start(): Promise<Store> {
    const store = new Store(await freePort());
    await store.start();
    return store;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Empty. Resolves once it answers. */
  async start(): Promise<void> {
    this.#child = spawn(
      redisBinary(),
      ["--port", String(this.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
      { stdio: "ignore", env: { LC_ALL: "C" } },
    );
    const client = new Redis(this.port, "127.0.0.1", { retryStrategy: () => 10, maxRetriesPerRequest: null });
    client.on("error", () => {});
    await client.ping();
    client.disconnect();
  }

  /** `SIGSTOP` and `SIGCONT`, for one. */
  signal(signal: NodeJS.Signals): void {
    this.#child!.kill(signal);
  }

  async kill(): Promise<void> {
    const child = this.#child!;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }
}

export interface PairOf {
  pair: string;
  partner: string;
}

const PAIRS = `
  local pairs = {}
  for _, key in ipairs(redis.call('KEYS', KEYS[1] .. 's:*')) do
    local record = cmsgpack.unpack(redis.call('GET', key))
    if record.pair then pairs[#pairs + 1] = { string.sub(key, #KEYS[1] + 3), record.pair, record.partner } end
  end
  return pairs`;

/** Who is in which pair and with whom, as the store has it: session → pair and partner. */
export async function pairsIn(client: Pick<Redis, "eval">): Promise<Map<string, PairOf>> {
  const rows = (await client.eval(PAIRS, 1, poolKeys(PREFIX))) as [string, string, string][];
  return new Map(rows.map(([session, pair, partner]) => [session, { pair, partner }]));
}
