/**
 * What a visitor feels of a cluster: how long a signal takes to somebody on another node, and how long a find takes to
 * become a match with somebody who waits there. Two real nodes, dist/chatrandom, and one Redis; the visitors are beside
 * them on this machine. Run it alone. `--help` names the options.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Redis } from "ioredis";
import { startTestRedis } from "../../src/redis/test-server.ts";
import { ClusterNode } from "../../src/scenarios/faults/cluster-node.ts";
import { busyMs, elapse, quantile } from "./measure.ts";
import { Wire, frame } from "./wire.ts";

const HELP = `npm run bench:cluster -- [--signals 2000] [--finds 500] [--pairs 100] [--size 1024] [--seconds 10]
  --signals  signals a second
  --finds    finds a second, each with somebody waiting on the other node
  --pairs    how many pairs there are, the two sides on two nodes
  --size     bytes of a signal
  --seconds  how long each of the two parts takes`;

const { values } = parseArgs({
  options: {
    signals: { type: "string", default: "2000" },
    finds: { type: "string", default: "500" },
    pairs: { type: "string", default: "100" },
    size: { type: "string", default: "1024" },
    seconds: { type: "string", default: "10" },
    help: { type: "boolean", default: false },
  },
});
const number = (name: Exclude<keyof typeof values, "help">): number => Number(values[name]);

/** What is waited for so that everything has got going, in seconds. */
const WARM_UP = 3;
/** Whatever is under way has arrived after that. */
const UNDER_WAY_MS = 200;
/** The scheduler's clock tick, as /proc counts. */
const TICK_MS = 10;

/** Two who only ever meet each other, on two nodes. */
class Duo {
  readonly waiter: Wire;
  readonly finder: Wire;
  readonly #find: Buffer;
  readonly #leave = frame(JSON.stringify({ type: "leave" }));
  pair = "";

  private constructor(waiter: Wire, finder: Wire, interest: string) {
    this.waiter = waiter;
    this.finder = finder;
    this.#find = frame(JSON.stringify({ type: "find", mode: "video", interests: [interest], strict: true }));
  }

  static async open(interest: string, waiting: number, finding: number): Promise<Duo> {
    const [waiter, finder] = await Promise.all([enter(waiting), enter(finding)]);
    const duo = new Duo(waiter, finder, interest);
    await duo.wait();
    return duo;
  }

  async wait(): Promise<void> {
    const waiting = this.waiter.next('"waiting"');
    this.waiter.send(this.#find);
    await waiting;
  }

  /** Milliseconds from the find to each side's `matched`. */
  async meet(): Promise<{ finder: number; waiter: number }> {
    const start = performance.now();
    const took = async (wire: Wire): Promise<number> => {
      this.pair = (JSON.parse(await wire.next('"matched"')) as { pair: string }).pair;
      return performance.now() - start;
    };
    const both = Promise.all([took(this.finder), took(this.waiter)]);
    this.finder.send(this.#find);
    const [finder, waiter] = await both;
    return { finder, waiter };
  }

  async part(): Promise<void> {
    const ended = this.waiter.next('"ended"');
    this.finder.send(this.#leave);
    await ended;
  }
}

async function enter(port: number): Promise<Wire> {
  const wire = await Wire.open(port, "/ws", "chatrandom.v1");
  const welcome = wire.next('"welcome"');
  wire.say({ type: "hello" });
  await welcome;
  return wire;
}

/** Calls `turn` so many times a second; answers how often. */
async function atRate(perSecond: number, seconds: number, turn: () => boolean): Promise<number> {
  const start = performance.now();
  let done = 0;
  let due = 0;
  for (let ms = 0; ms < seconds * 1_000; ms = performance.now() - start) {
    for (; due < (ms / 1_000) * perSecond; due += 1) if (turn()) done += 1;
    await elapse(1);
  }
  return done;
}

async function signals(duos: readonly Duo[]): Promise<string> {
  const filling = "x".repeat(Math.max(0, number("size") - 100));
  let delays: number[] = [];
  const hear = (text: Buffer): void => {
    const at = text.indexOf('"at":');
    if (at >= 0) delays.push(performance.now() - Number.parseFloat(text.toString("latin1", at + 5, at + 20)));
  };
  for (const { waiter, finder } of duos) waiter.onText = finder.onText = hear;
  let n = 0;
  const say = (): boolean => {
    const duo = duos[(n >> 1) % duos.length]!;
    const from = n % 2 === 0 ? duo.waiter : duo.finder;
    n += 1;
    from.say(
      `{"type":"signal","pair":"${duo.pair}","data":{"at":${performance.now().toFixed(4)},"sdp":"${filling}"}}`,
    );
    return true;
  };
  await atRate(number("signals"), WARM_UP, say);
  await elapse(UNDER_WAY_MS);
  delays = [];
  const sent = await atRate(number("signals"), number("seconds"), say);
  await elapse(UNDER_WAY_MS);
  return `${sent} signals of ${number("size")} bytes, ${delays.length} arrived: ${times(delays)}`;
}

async function finds(duos: readonly Duo[]): Promise<string> {
  const free = [...duos];
  let [finder, waiter, busy]: [number[], number[], number] = [[], [], 0];
  const find = (): boolean => {
    const duo = free.shift();
    if (!duo) {
      busy += 1;
      return false;
    }
    void (async () => {
      const took = await duo.meet();
      finder.push(took.finder);
      waiter.push(took.waiter);
      await duo.part();
      await duo.wait();
      free.push(duo);
    })();
    return true;
  };
  await atRate(number("finds"), WARM_UP, find);
  await elapse(UNDER_WAY_MS);
  [finder, waiter, busy] = [[], [], 0];
  const done = await atRate(number("finds"), number("seconds"), find);
  await elapse(UNDER_WAY_MS);
  const missed = busy > 0 ? `, ${busy} more had nobody free to make them` : "";
  return `${done} finds${missed}\n  who found:  ${times(finder)}\n  who waited: ${times(waiter)}`;
}

function times(delays: readonly number[]): string {
  const at = (share: number): string => `${quantile(delays, share).toFixed(2)} ms`;
  return `p50 ${at(0.5)}, p99 ${at(0.99)}, longest ${at(1)}`;
}

/** CPU of a process so far, in ms. */
function cpuOf(pid: number): number {
  const [user, system] = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ").slice(11, 13);
  return (Number(user) + Number(system)) * TICK_MS;
}

async function processOf(redis: string): Promise<number> {
  const client = new Redis(redis);
  const info = await client.info("server");
  client.disconnect();
  return Number(/process_id:(\d+)/.exec(info)![1]);
}

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "chatrandom-bench-"));
  const store = await startTestRedis();
  const secret = randomBytes(32).toString("hex");
  // The same two meet again and again.
  const options = { args: ["--matching-recent-after=0s"] };
  const nodes = ["one", "two"].map((name) => new ClusterNode(store.url, secret, join(folder, name), options));
  try {
    for (const node of nodes) while (!(await node.isReady())) await elapse(20);
    const ports = nodes.map(({ port }) => port) as [number, number];
    const duos: Duo[] = [];
    for (let n = 0; n < number("pairs"); n += 1) {
      const [near, far] = n % 2 === 0 ? ports : ports.toReversed();
      duos.push(await Duo.open(`duo ${n}`, near!, far!));
    }
    const pids = [...nodes.map(({ child }) => child.pid!), await processOf(store.url)];
    const part = async (what: (duos: readonly Duo[]) => Promise<string>): Promise<void> => {
      const [start, busy, own] = [performance.now(), busyMs(), process.cpuUsage()];
      const before = pids.map(cpuOf);
      console.log(await what(duos));
      const ms = performance.now() - start;
      const { user, system } = process.cpuUsage(own);
      const used = [...pids.map((pid, n) => cpuOf(pid) - before[n]!), (user + system) / 1_000];
      const others = busyMs() - busy - used.reduce((sum, cpu) => sum + cpu, 0);
      const [one, two, redis, visitors, rest] = [...used, Math.max(0, others)].map(
        (cpu) => `${Math.round((cpu / ms) * 100)} %`,
      );
      console.log(
        `  of a core: the nodes ${one} and ${two}, Redis ${redis}, the visitors ${visitors}, all others ${rest}`,
      );
    };
    console.log(`find to matched over two nodes, ${number("finds")} finds a second`);
    await part(finds);
    for (const duo of duos) await duo.meet();
    console.log(`signals over two nodes, ${number("signals")} a second`);
    await part(signals);
  } finally {
    await Promise.all(nodes.map((node) => node.end("SIGKILL")));
    await store.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

if (values.help) console.log(HELP);
else {
  await main();
  process.exit();
}
