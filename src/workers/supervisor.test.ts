import { expect, test } from "vitest";
import type { Config } from "../config/options.ts";
import { Failure } from "../failure.ts";
import { StillClock } from "../still-clock.ts";
import { BEAT_MS } from "./beat.ts";
import { noRefusals, type RelayCounts } from "../relay/counts.ts";
import type { SharedRelay } from "../relay/embedded-relay.ts";
import type { FromWorker, Metrics, ToWorker } from "./messages.ts";
import type { WorkerProcess } from "./process.ts";
import { HEALTHY_AFTER_MS, SCRAPE_PATIENCE_MS, SILENT_BEATS, supervise } from "./supervisor.ts";

/** A process of which a test decides everything. */
class FakeProcess implements WorkerProcess {
  static next = 1000;
  readonly pid = (FakeProcess.next += 1);
  readonly heard: ToWorker[] = [];
  readonly #end = Promise.withResolvers<string>();
  readonly ended = this.#end.promise;
  killed = false;
  #listener: (message: FromWorker) => void = () => {};

  send(message: ToWorker): void {
    this.heard.push(message);
  }
  onMessage(listener: (message: FromWorker) => void): void {
    this.#listener = listener;
  }
  say(message: FromWorker): void {
    this.#listener(message);
  }
  kill(): void {
    this.killed = true;
    this.end("SIGKILL");
  }
  end(how: string): void {
    this.#end.resolve(how);
  }
  has(type: ToWorker["type"]): boolean {
    return this.heard.some((message) => message.type === type);
  }
  last<T extends ToWorker["type"]>(type: T): Extract<ToWorker, { type: T }> | undefined {
    return this.heard.findLast((message) => message.type === type) as
      | Extract<ToWorker, { type: T }>
      | undefined;
  }
}

/** A relay that moves when a test says so. */
class FakeRelay {
  #shared: SharedRelay = {
    hosts: ["192.0.2.7"],
    port: 1,
    proxyPort: 2,
    secret: "s",
    reach: "private",
  };
  #moved: () => void = () => {};

  shared(): SharedRelay {
    return this.#shared;
  }
  async counts(): Promise<RelayCounts> {
    return { allocations: 0, ...noRefusals() };
  }
  onMove(listener: () => void): void {
    this.#moved = listener;
  }
  move(host: string): void {
    this.#shared = { ...this.#shared, hosts: [host] };
    this.#moved();
  }
}

/** Lets everything happen that waits for nothing but its turn. */
const settle = () => new Promise((resolve) => void setImmediate(resolve));

function play(workers = 2, stopping = new AbortController()) {
  const clock = new StillClock();
  const processes: FakeProcess[] = [];
  const logged: object[] = [];
  /** Why the system starts no process, for the next starts. */
  const refusals: Error[] = [];
  const relay = new FakeRelay();
  const supervisor = supervise({
    workers,
    relay,
    stopping: stopping.signal,
    clock,
    stopWithin: 7_000,
    orders: (worker, life) => ({
      kind: "serve",
      config: {} as Config,
      share: { worker, node: `n${life}`, port: 1, link: { listen: `ipc:///l/${life}`, secret: "s" } },
    }),
    start: () => {
      const refusal = refusals.shift();
      if (refusal) throw refusal;
      const process = new FakeProcess();
      processes.push(process);
      return process;
    },
    log: { info: () => {}, warn: (what: object) => void logged.push(what) } as never,
  });
  // Some tests look at the outcome only later.
  supervisor.catch(() => {});
  const up = async () => {
    for (const process of processes) process.say({ type: "up", host: "::" });
    return supervisor;
  };
  /** Time in which everybody is alive. */
  const pass = (ms: number) => {
    for (let left = ms; left > 0; left -= BEAT_MS) {
      clock.move(Math.min(left, BEAT_MS));
      for (const process of processes) process.say({ type: "alive" });
    }
  };
  return { clock, processes, logged, refusals, stopping, relay, supervisor, up, pass };
}

const shares = (processes: FakeProcess[]) => processes.map((process) => process.last("start")!.orders.share);

test("it starts every worker with orders of its own, and is up when all are", async () => {
  const { processes, supervisor } = play(3);
  expect(shares(processes).map(({ worker, link }) => [worker, link.listen])).toEqual([
    [0, "ipc:///l/1"],
    [1, "ipc:///l/2"],
    [2, "ipc:///l/3"],
  ]);
  let isUp = false;
  void supervisor.then(() => (isUp = true));
  for (const process of processes) {
    await settle();
    expect(isUp).toBe(false);
    process.say({ type: "up", host: "0.0.0.0" });
  }
  expect((await supervisor).opened.host).toBe("0.0.0.0");
});

test("a worker that cannot start ends everything, with its own words and exit code", async () => {
  const { processes, supervisor } = play();
  const [first, second] = processes as [FakeProcess, FakeProcess];
  first.say({ type: "up", host: "::" });
  second.say({ type: "refused", message: "the port is taken", exitCode: 2 });
  second.end("exit 2");
  await settle();
  expect(first.has("stop")).toBe(true);
  first.end("exit 0");
  const failure = await supervisor.catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(Failure);
  expect(failure).toMatchObject({ message: "the port is taken", exitCode: 2 });
  expect(processes).toHaveLength(2);
});

test("a worker that dies before it was up, without a word, ends everything too", async () => {
  const { processes, supervisor } = play();
  processes[1]!.end("SIGSEGV");
  await settle();
  processes[0]!.end("exit 0");
  await expect(supervisor).rejects.toThrow("worker 1 does not start: SIGSEGV");
});

test("a worker that ends is started again, with pauses that grow while it keeps ending", async () => {
  const { pass, processes, logged, up } = play();
  await up();
  for (const delay of [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]) {
    const before = processes.length;
    processes.at(-1)!.end("SIGKILL");
    await settle();
    expect(logged.at(-1)).toEqual({ worker: 1, reason: "SIGKILL", delay });
    pass(delay - 1);
    await settle();
    expect(processes).toHaveLength(before);
    pass(1);
    await settle();
    expect(processes).toHaveLength(before + 1);
    expect(shares(processes).at(-1)).toMatchObject({ worker: 1, link: { listen: `ipc:///l/${before + 1}` } });
  }
  expect(processes[0]!.has("stop")).toBe(false);
});

test("a worker that could not be started again is tried again, and its reason is logged", async () => {
  const { clock, processes, logged, up } = play();
  await up();
  processes[0]!.end("exit 1");
  await settle();
  clock.move(100);
  await settle();
  processes[2]!.say({ type: "refused", message: "Redis is away", exitCode: 1 });
  processes[2]!.end("exit 1");
  await settle();
  expect(logged.at(-1)).toEqual({ worker: 0, reason: "Redis is away", delay: 200 });
});

test("a worker for which the system has no process just now is tried again", async () => {
  const { clock, processes, logged, refusals, up } = play();
  await up();
  refusals.push(new Error("spawn ENOMEM"));
  processes[0]!.end("SIGKILL");
  await settle();
  clock.move(100);
  await settle();
  expect(logged.at(-1)).toEqual({ worker: 0, reason: "spawn ENOMEM", delay: 200 });
  clock.move(200);
  await settle();
  expect(shares(processes).at(-1)).toMatchObject({ worker: 0 });
});

test("a worker that ran for a minute and more has its first end again", async () => {
  const { pass, processes, logged, up } = play();
  await up();
  for (let n = 0; n < 3; n += 1) {
    pass(HEALTHY_AFTER_MS + 1);
    processes.at(-1)!.end("SIGKILL");
    await settle();
    expect(logged.at(-1)).toMatchObject({ delay: 100 });
    pass(100);
    await settle();
    processes.at(-1)!.say({ type: "up", host: "::" });
  }
  expect(processes.some(({ killed }) => killed)).toBe(false);
});

test("stopping tells every worker, waits for all of them, and starts nobody again", async () => {
  const { clock, processes, up } = play();
  const supervisor = await up();
  let stopped = false;
  void supervisor.stop().then(() => (stopped = true));
  expect(processes.map((process) => process.has("stop"))).toEqual([true, true]);
  processes[0]!.end("exit 0");
  await settle();
  expect(stopped).toBe(false);
  processes[1]!.end("exit 0");
  await settle();
  expect(stopped).toBe(true);
  clock.move(60_000);
  await settle();
  expect(processes).toHaveLength(2);
  expect(processes.some(({ killed }) => killed)).toBe(false);
});

test("told to stop before all are up it tells every worker, and waits for them", async () => {
  const { processes, stopping, supervisor } = play();
  processes[0]!.say({ type: "up", host: "::" });
  stopping.abort();
  expect(processes.map((process) => process.has("stop"))).toEqual([true, true]);
  for (const process of processes) process.end("exit 0");
  await expect(supervisor).rejects.toBeInstanceOf(Failure);
  expect(processes).toHaveLength(2);
});

test("told to stop before the first is started it starts none", async () => {
  const stopping = new AbortController();
  stopping.abort();
  const { processes, supervisor } = play(2, stopping);
  await expect(supervisor).rejects.toBeInstanceOf(Failure);
  expect(processes).toEqual([]);
});

test("a worker that does not stop in time is killed", async () => {
  const { clock, processes, up } = play();
  const supervisor = await up();
  const stopped = supervisor.stop();
  processes[0]!.end("exit 0");
  clock.move(6_999);
  await settle();
  expect(processes[1]!.killed).toBe(false);
  clock.move(1);
  await stopped;
  expect(processes.map(({ killed }) => killed)).toEqual([false, true]);
});

test("stopping in the pause before a restart ends the pause", async () => {
  const { processes, up } = play(1);
  const supervisor = await up();
  processes[0]!.end("SIGKILL");
  await settle();
  await supervisor.stop();
  expect(processes).toHaveLength(1);
});

test("a worker that hangs is killed and started again; one that says anything is not, nor one that is still starting", async () => {
  const { clock, processes, up } = play();
  await up();
  const [hung, fine] = processes as [FakeProcess, FakeProcess];
  for (let beat = 0; beat < SILENT_BEATS; beat += 1) {
    clock.move(BEAT_MS);
    fine.say({ type: "alive" });
  }
  expect(hung.killed).toBe(false);
  clock.move(BEAT_MS);
  expect([hung.killed, fine.killed]).toEqual([true, false]);
  await settle();
  clock.move(100);
  await settle();
  expect(shares(processes).at(-1)!.worker).toBe(0);
  for (let beat = 0; beat < 2 * SILENT_BEATS; beat += 1) {
    clock.move(BEAT_MS);
    fine.say({ type: "alive" });
  }
  expect(processes[2]!.killed).toBe(false);
});

// Scrapes

const counted = (value: number): FromWorker => {
  const metric = {
    name: "finds_total",
    help: "h",
    type: "counter",
    values: [{ value, labels: {} }],
    aggregator: "sum",
  };
  return { type: "metrics", metrics: [metric] as unknown as Metrics };
};

test("a scrape at one worker asks all, and answers with their sum", async () => {
  const { processes, up } = play();
  await up();
  const [first, second] = processes as [FakeProcess, FakeProcess];
  second.say({ type: "scrape", scrape: 7 });
  first.say(counted(40));
  await settle();
  expect(second.has("scraped")).toBe(false);
  second.say(counted(2));
  await settle();
  const { scrape, text, contentType } = second.last("scraped")!;
  expect(scrape).toBe(7);
  expect(contentType).toMatch(/^text\/plain; version=0\.0\.4/);
  expect(text.split("\n")).toEqual(
    expect.arrayContaining(["finds_total 42", "chatrandom_workers 2", "chatrandom_workers_answered 2"]),
  );
  expect(first.has("scraped")).toBe(false);
});

test("who asks while the workers are being asked waits for the same answers", async () => {
  const { processes, up } = play();
  await up();
  const [first, second] = processes as [FakeProcess, FakeProcess];
  for (let scrape = 0; scrape < 5; scrape += 1) second.say({ type: "scrape", scrape });
  first.say(counted(1));
  second.say(counted(1));
  await settle();
  expect(first.heard.filter(({ type }) => type === "collect")).toHaveLength(1);
  expect(second.heard.filter(({ type }) => type === "scraped")).toHaveLength(5);
});

test("a worker that hangs is waited for once, is not asked again until it answers, and what it had counted stays", async () => {
  const { clock, processes, up } = play();
  await up();
  const [first, second] = processes as [FakeProcess, FakeProcess];
  const scrape = async (...answers: [FakeProcess, number][]) => {
    const before = first.heard.length;
    first.say({ type: "scrape", scrape: 1 });
    for (const [process, value] of answers) process.say(counted(value));
    await settle();
    return first.heard.slice(before).some(({ type }) => type === "scraped");
  };
  expect(await scrape([first, 1], [second, 10])).toBe(true);

  expect(await scrape([first, 2])).toBe(false);
  clock.move(SCRAPE_PATIENCE_MS - 1);
  await settle();
  expect(first.heard.at(-1)!.type).toBe("collect");
  clock.move(1);
  await settle();
  expect(first.last("scraped")!.text).toContain("\nfinds_total 12\n");
  expect(first.last("scraped")!.text).toContain("\nchatrandom_workers_answered 1\n");

  expect(await scrape([first, 3])).toBe(true);
  expect(first.last("scraped")!.text).toContain("\nfinds_total 13\n");
  expect(second.heard.filter(({ type }) => type === "collect")).toHaveLength(2);

  second.say(counted(20));
  expect(await scrape([first, 3], [second, 21])).toBe(true);
  expect(first.last("scraped")!.text).toContain("\nfinds_total 24\n");
});

test("numbers that cannot be added up are no reason to end: only that scrape is not answered", async () => {
  const { logged, processes, up } = play();
  await up();
  const [first, second] = processes as [FakeProcess, FakeProcess];
  first.say({ type: "scrape", scrape: 1 });
  first.say(counted(1));
  // Of another version, perhaps, that the executable was replaced by before it was started again.
  const strange = { name: "x", help: "h", type: "gauge", values: [], aggregator: "unheard of" };
  second.say({ type: "metrics", metrics: [strange] as unknown as Metrics });
  await settle();
  expect(first.has("scraped")).toBe(false);
  expect(logged).toEqual([{ worker: 0, err: expect.any(Error) }]);
});

test("a worker that dies while it is asked is not waited for, and a restart is counted", async () => {
  const { processes, up } = play();
  await up();
  const [first, second] = processes as [FakeProcess, FakeProcess];
  first.say({ type: "scrape", scrape: 1 });
  first.say(counted(5));
  second.end("SIGKILL");
  await settle();
  const lines = first.last("scraped")!.text.split("\n");
  expect(lines).toContain("finds_total 5");
  expect(lines).toContain("chatrandom_worker_restarts_total 1");
  expect(lines).toContain("chatrandom_workers_answered 1");
});

test("a move of the relay reaches every worker, also those that are still starting", async () => {
  const { processes, up, relay } = play();
  const [first] = processes as [FakeProcess];
  first.say({ type: "up", host: "::" });
  relay.move("192.0.2.8");
  for (const process of processes) expect(process.last("relay")?.relay.hosts).toEqual(["192.0.2.8"]);
  await up();
  relay.move("192.0.2.9");
  for (const process of processes) expect(process.last("relay")?.relay.hosts).toEqual(["192.0.2.9"]);
});
