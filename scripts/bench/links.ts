/**
 * What a link costs: CPU per envelope, both ends together, and how long an envelope takes from one node to another.
 * Two processes on this machine; run it alone. `--help` names the options.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { rmSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { realClock } from "../../src/clock.ts";
import type { Envelope, LinkEvents, Peer } from "../../src/links/link.ts";
import { openZmqLink } from "../../src/links/zmq-link.ts";
import { busyMs } from "./measure.ts";

const HELP = `npm run bench:links -- [--rate 5000] [--seconds 4] [--size 1024] [--batch 32] [--transport tcp|ipc]
  --rate       envelopes a second while the delay is measured
  --seconds    how long each of the two parts takes
  --size       bytes of a signal
  --batch      envelopes in one turn of the event loop while the cost is measured
  --transport  how the two nodes are connected`;

const SECRET = "the link secret of a benchmark, for nobody else";
const STAMP_BYTES = 8;

interface Report {
  received: number;
  lost: number;
  /** CPU of that process since the last report, in µs. */
  cpu: number;
  /** One way, in µs. */
  delays: number[];
}

const { values: options } = parseArgs({
  options: {
    rate: { type: "string", default: "5000" },
    seconds: { type: "string", default: "4" },
    size: { type: "string", default: "1024" },
    batch: { type: "string", default: "32" },
    transport: { type: "string", default: "tcp" },
    listen: { type: "string" },
    help: { type: "boolean" },
  },
});

const open = (node: string, listen: string, events: Partial<LinkEvents>) =>
  openZmqLink({
    node,
    secret: SECRET,
    listen,
    clock: realClock,
    events: { onEnvelope() {}, onLoss() {}, onPeer() {}, ...events },
  });

if (options.help) console.log(HELP);
else if (options.listen) await receive(options.listen);
else await send();

/** The other process: receives, and reports when asked. */
async function receive(listen: string): Promise<void> {
  let report: Report = { received: 0, lost: 0, cpu: 0, delays: [] };
  let cpu = process.cpuUsage();
  const link = await open("receiver", listen, {
    onEnvelope(_from, envelope) {
      if (envelope.kind !== "note" || envelope.note.type !== "signal") return;
      const sent = Buffer.from(envelope.note.raw.buffer, envelope.note.raw.byteOffset).readBigUInt64BE();
      report.received += 1;
      report.delays.push(Number(process.hrtime.bigint() - sent) / 1_000);
    },
    onLoss: (_from, lost) => (report.lost += lost),
  });
  process.on("disconnect", () => process.exit());
  process.on("message", (message: Peer[] | "report") => {
    if (message !== "report") {
      link.setPeers(message);
      return;
    }
    const used = process.cpuUsage(cpu);
    process.send!({ ...report, cpu: used.user + used.system });
    report = { received: 0, lost: 0, cpu: 0, delays: [] };
    cpu = process.cpuUsage();
  });
  process.send!(link.self);
}

async function send(): Promise<void> {
  const { size, rate, seconds, batch } = Object.fromEntries(
    Object.entries(options).map(([name, value]) => [name, Number(value)]),
  ) as Record<"size" | "rate" | "seconds" | "batch", number>;
  const directory = mkdtempSync(join(tmpdir(), "links-"));
  const at = (node: string): string =>
    options.transport === "ipc" ? `ipc://${join(directory, node)}` : "tcp://127.0.0.1:0";

  const child = fork(process.argv[1]!, ["--listen", at("r")], { execArgv: [] });
  const [receiver] = (await once(child, "message")) as [Peer];
  let up = (): void => {};
  const link = await open("sender", at("s"), { onPeer: () => up() });
  const linked = new Promise<void>((resolve) => (up = resolve));
  link.setPeers([receiver]);
  child.send([link.self]);
  await linked;

  const signal = (): Envelope => {
    const raw = Buffer.allocUnsafe(Math.max(size, STAMP_BYTES));
    raw.writeBigUInt64BE(process.hrtime.bigint());
    const id = "0123456789abcdefghijkl";
    return { kind: "note", to: id, from: id, note: { type: "signal", pair: id, raw } };
  };
  const ask = async (): Promise<Report> => {
    child.send("report");
    return ((await once(child, "message")) as [Report])[0];
  };
  const measure = async (turn: () => Promise<number>): Promise<void> => {
    await ask();
    const [cpu, busy, start] = [process.cpuUsage(), busyMs(), performance.now()];
    let sent = 0;
    while (performance.now() - start < seconds * 1_000) sent += await turn();
    const ms = performance.now() - start;
    await new Promise((resolve) => setTimeout(resolve, 200)); // what is under way arrives
    const { user, system } = process.cpuUsage(cpu);
    const { received, lost, cpu: theirs, delays } = await ask();
    delays.sort((a, b) => a - b);
    const delay = (share: number): string =>
      ((delays[Math.floor(delays.length * share)] ?? 0) / 1_000).toFixed(2);
    const ours = user + system;
    const others = (busyMs() - busy - (ours + theirs) / 1_000) / (ms + 200);
    console.log(
      `  ${Math.round((received / ms) * 1_000)} a second, ${((ours + theirs) / received).toFixed(1)} µs CPU each ` +
        `(${(ours / received).toFixed(1)} sender, ${(theirs / received).toFixed(1)} receiver)\n` +
        `  one way p50 ${delay(0.5)} ms, p99 ${delay(0.99)} ms, longest ${delay(1 - 1e-9)} ms\n` +
        `  sent ${sent}, lost ${lost}; others used ${(others * 100).toFixed(0)} % of a core meanwhile`,
    );
  };

  console.log(`as fast as it goes, ${batch} of ${size} bytes a turn, over ${options.transport}`);
  await measure(async () => {
    let sent = 0;
    for (let i = 0; i < batch; i++) if (link.send("receiver", signal())) sent += 1;
    await new Promise((resolve) => (sent > 0 ? setImmediate(resolve) : setTimeout(resolve, 1)));
    return sent;
  });

  console.log(`${rate} a second`);
  const start = performance.now();
  let due = 0;
  await measure(async () => {
    due ||= performance.now() - start;
    let sent = 0;
    for (; due < performance.now() - start; due += 1_000 / rate)
      if (link.send("receiver", signal())) sent += 1;
    await new Promise((resolve) => setTimeout(resolve, 1));
    return sent;
  });

  await link.close();
  child.disconnect();
  rmSync(directory, { recursive: true, force: true });
}
