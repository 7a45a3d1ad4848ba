/**
 * What a node costs beside other signaling servers, on one machine in one run: signals relayed, CPU each, memory an
 * idle connection; and how long a find takes to become a match. The servers take turns, so that whatever else the
 * machine does meets them all; compare the ratios and the CPU, not the seconds. Run it alone. `--help` names the options.
 */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { busyMs, elapse, quantile } from "./measure.ts";
import type { Used } from "./servers.ts";
import { dialects, frame } from "./wire.ts";
import type { Client, Dialect } from "./wire.ts";

const HELP = `npm run bench:server -- [--pairs 100] [--size 1024] [--rounds 3] [--seconds 2] [--idle 2000] [--finds 300]
  --pairs    how many pairs signal to each other, each side as soon as it has heard the other
  --size     bytes of a signal
  --rounds   how often each server has its turn
  --seconds  how long a turn takes
  --idle     how many connections are held while memory is measured
  --finds    finds a second while the way from find to matched is measured
socket.io and PeerServer take part where they are installed: npm install --no-save socket.io peer`;

const { values } = parseArgs({
  options: {
    pairs: { type: "string", default: "100" },
    size: { type: "string", default: "1024" },
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "2" },
    idle: { type: "string", default: "2000" },
    finds: { type: "string", default: "300" },
    help: { type: "boolean", default: false },
  },
});
const number = (name: Exclude<keyof typeof values, "help">): number => Number(values[name]);

/** What one turn of signalling came to. */
interface Turn {
  perSecond: number;
  /** µs of the server. */
  cpuEach: number;
  /** Milliseconds from one side to the other and back, median. */
  roundTrip: number;
}

class Contender {
  readonly turns: Turn[] = [];
  readonly name: string;
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #dialect: Dialect;
  #pairs: [Client, Client][] = [];

  private constructor(name: string, port: number, child: ChildProcess) {
    this.name = name;
    this.port = port;
    this.#child = child;
    this.#dialect = dialects[name]!;
  }

  /** Undefined, and says so, where the server is not installed. */
  static async start(name: string): Promise<Contender | undefined> {
    const execArgv = ["--expose-gc", "--import", new URL("../lua-as-text.ts", import.meta.url).href];
    const child = fork(new URL("servers.ts", import.meta.url), [name], { execArgv });
    const [{ port, missing }] = (await once(child, "message")) as [{ port?: number; missing?: string }];
    if (port !== undefined) return new Contender(name, port, child);
    child.disconnect();
    console.log(`${name} does not take part: ${missing}`);
    return undefined;
  }

  async meet(pairs: number): Promise<void> {
    const { open, pair } = this.#dialect;
    for (let n = 0; n < pairs; n += 1) {
      const both: [Client, Client] = [await open(this.port), await open(this.port)];
      await pair(...both);
      this.#pairs.push(both);
    }
  }

  /** Each side signals as soon as it has heard from the other, for so long. */
  async signal(seconds: number, size: number): Promise<void> {
    const { signal, marker } = this.#dialect;
    const filling = "x".repeat(size - 100);
    let relayed = 0;
    let going = true;
    const roundTrips: number[] = [];
    for (const both of this.#pairs) {
      for (const [n, client] of both.entries()) {
        const made = frame(signal(client, filling));
        let sentAt = performance.now();
        client.wire.onText = (text) => {
          if (!text.includes(marker)) {
            if (text.length < 3 && text[0] === 0x32) client.wire.say("3"); // engine.io's ping
            return;
          }
          relayed += 1;
          if (n === 0) roundTrips.push(performance.now() - sentAt);
          sentAt = performance.now();
          if (going) client.wire.send(made);
        };
        if (n === 0) client.wire.send(made);
      }
    }
    await elapse(seconds * 250); // it gets going
    [relayed, roundTrips.length] = [0, 0];
    await this.used();
    const start = performance.now();
    await elapse(seconds * 1_000);
    const { cpu } = await this.used();
    const ms = performance.now() - start;
    this.turns.push({
      perSecond: (relayed / ms) * 1_000,
      cpuEach: cpu / relayed,
      roundTrip: median(roundTrips),
    });
    going = false;
    await elapse(100); // what is under way arrives
  }

  /** Bytes that one more connection takes, by the heap and by the process. */
  async idle(connections: number): Promise<{ heap: number; rss: number }> {
    const open = async (count: number): Promise<Client[]> => {
      const clients: Client[] = [];
      while (clients.length < count) {
        const some = Array.from({ length: Math.min(50, count - clients.length) }, () =>
          this.#dialect.open(this.port),
        );
        clients.push(...(await Promise.all(some)));
      }
      return clients;
    };
    for (const { wire } of await open(100)) wire.close(); // the first ones grow the process for good
    await elapse(500);
    const before = await this.used("memory");
    const clients = await open(connections);
    await elapse(500);
    const after = await this.used("memory");
    for (const { wire } of clients) wire.close();
    return {
      heap: (after.heap - before.heap) / connections,
      rss: (after.rss - before.rss) / connections,
    };
  }

  async used(how: "used" | "memory" = "used"): Promise<Used> {
    this.#child.send(how);
    return ((await once(this.#child, "message")) as [Used])[0];
  }

  stop(): void {
    for (const { wire } of this.#pairs.flat()) wire.close();
    this.#child.disconnect();
  }
}

/** Visitors who find, meet whoever waits, and leave, at a rate. Delays in ms from the find that made the match. */
async function finds(contender: Contender, perSecond: number, seconds: number) {
  const free: Client[] = [];
  const finding = new Map<Client, number>();
  const made = new Map<string, { at: number; waiting?: number }>();
  const [finder, waiter]: [number[], number[]] = [[], []];
  for (let n = 0; n < 200; n += 1) {
    const client = await dialects["chatrandom"]!.open(contender.port);
    free.push(client);
    client.wire.onText = (text) => {
      if (!text.includes('"matched"')) return;
      const now = performance.now();
      const { pair, role } = JSON.parse(String(text)) as { pair: string; role: string };
      const other = made.get(pair);
      if (role === "offerer") {
        const at = finding.get(client)!;
        finder.push(now - at);
        if (other?.waiting) waiter.push(other.waiting - at);
        else made.set(pair, { at });
      } else if (other) waiter.push(now - other.at);
      else made.set(pair, { at: 0, waiting: now });
      if (other) made.delete(pair);
      client.wire.say({ type: "leave" });
      free.push(client);
    };
  }
  const go = async (forSeconds: number): Promise<number> => {
    let done = 0;
    const start = performance.now();
    for (let ms = 0; ms < forSeconds * 1_000; ms = performance.now() - start) {
      for (const due = (ms / 1_000) * perSecond; done < due && free.length > 0; done += 1) {
        const client = free.shift()!;
        finding.set(client, performance.now());
        client.wire.say({ type: "find", mode: "video" });
      }
      await elapse(1);
    }
    return done;
  };
  await go(seconds / 3); // it gets going
  [finder.length, waiter.length] = [0, 0];
  await contender.used();
  const done = await go(seconds);
  const { cpu } = await contender.used();
  return { finder, waiter, done, cpuEach: cpu / done };
}

const median = (of: readonly number[]): number => quantile(of, 0.5);

async function main(): Promise<void> {
  const contenders: Contender[] = [];
  for (const name of Object.keys(dialects)) {
    const contender = await Contender.start(name);
    if (contender) contenders.push(contender);
  }
  try {
    for (const contender of contenders) await contender.meet(number("pairs"));
    const [busy, own, start] = [busyMs(), process.cpuUsage(), performance.now()];
    let theirs = 0;
    for (let round = 0; round < number("rounds"); round += 1) {
      for (const contender of contenders) {
        await contender.signal(number("seconds"), number("size"));
        theirs += contender.turns.at(-1)!.cpuEach * contender.turns.at(-1)!.perSecond * number("seconds");
      }
    }
    const { user, system } = process.cpuUsage(own);
    const others = (busyMs() - busy - (user + system + theirs) / 1_000) / (performance.now() - start);

    console.log(
      `\n${number("pairs")} pairs, signals of ${number("size")} bytes, medians of ${number("rounds")} turns`,
    );
    const table: Record<string, Record<string, string>> = {};
    const mine = median(contenders[0]!.turns.map(({ cpuEach }) => cpuEach));
    for (const { name, turns } of contenders) {
      const cpu = median(turns.map(({ cpuEach }) => cpuEach));
      table[name] = {
        "relayed a second": Math.round(median(turns.map(({ perSecond }) => perSecond))).toLocaleString("en"),
        "CPU µs each": cpu.toFixed(1),
        "times ours": (cpu / mine).toFixed(2),
        "there and back ms": median(turns.map(({ roundTrip }) => roundTrip)).toFixed(2),
      };
    }
    for (const contender of contenders) {
      const { heap, rss } = await contender.idle(number("idle"));
      table[contender.name]!["KB a connection"] = (heap / 1_024).toFixed(1);
      table[contender.name]!["KB by the process"] = (rss / 1_024).toFixed(1);
    }
    console.table(table);
    console.log(`others used ${Math.max(0, others * 100).toFixed(0)} % of a core while signals were relayed`);

    const { finder, waiter, done, cpuEach } = await finds(
      contenders[0]!,
      number("finds"),
      3 * number("seconds"),
    );
    const delays = (of: number[]): string =>
      `p50 ${median(of).toFixed(2)} ms, p99 ${quantile(of, 0.99).toFixed(2)} ms`;
    console.log(
      `\n${done} finds at ${number("finds")} a second, ${cpuEach.toFixed(0)} µs of the node's CPU each\n` +
        `  find to matched, who found: ${delays(finder)}\n  who waited: ${delays(waiter)}`,
    );
  } finally {
    for (const contender of contenders) contender.stop();
  }
}

if (values.help) console.log(HELP);
else await main();
