/**
 * What the relay costs and what it adds: streams of 2 Mbit/s from visitors through the relay to their partners, over UDP,
 * over TCP and over TLS on the port of HTTPS. CPU is that of coturn and of the node, which ends TLS; delays are beside those
 * of the same packets sent directly. Runs dist/chatrandom; run it alone. `--help` names the options.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { WebSocket } from "ws";
import type { IceServer, Welcome } from "../../src/protocol/messages.ts";
import { TurnClient, type TurnOptions } from "../../src/relay/test-turn.ts";
import { root } from "../build/step.ts";

const HELP = `npm run bench:relay -- [--streams 10] [--seconds 8] [--rounds 3] [--mbit 2] [--bytes 1200]
  --streams  how many streams at once
  --seconds  how long a turn takes
  --rounds   how often each way has its turn
  --mbit     of one stream
  --bytes    of one packet`;

const { values } = parseArgs({
  options: {
    streams: { type: "string", default: "10" },
    seconds: { type: "string", default: "8" },
    rounds: { type: "string", default: "3" },
    mbit: { type: "string", default: "2" },
    bytes: { type: "string", default: "1200" },
    help: { type: "boolean", default: false },
  },
});
const number = (name: Exclude<keyof typeof values, "help">): number => Number(values[name]);

/** How often packets are sent that are due. */
const TICK_MS = 2;
const CHANNEL = 0x4000;

interface Stream {
  send(packet: Buffer): void;
  close(): Promise<void>;
}

interface Turn {
  /** ms from the sender to the partner. */
  delays: number[];
  sent: number;
  /** CPU ms. */
  coturn: number;
  node: number;
}

const host = Object.values(networkInterfaces())
  .flatMap((all) => all ?? [])
  .find(({ internal, family }) => !internal && family === "IPv4")?.address;

/** Ticks are hundredths of a second on every Linux there is. */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

class Place {
  readonly child: ChildProcess;
  readonly port: number;
  readonly turnPort: number;
  readonly coturn: number;
  readonly credentials: { username: string; credential: string };

  private constructor(child: ChildProcess, port: number, coturn: number, server: IceServer) {
    this.child = child;
    this.port = port;
    this.coturn = coturn;
    this.turnPort = Number(/:(\d+)\?/.exec([server.urls].flat()[0]!)![1]);
    this.credentials = { username: server.username!, credential: server.credential! };
  }

  static async start(folder: string): Promise<Place> {
    const args = ["serve", "--port=0", "--turn-port=0", `--data-dir=${folder}`, "--log-format=json"];
    args.push("--turn-public-address-from=");
    const limits = ["--turn-session-allocations=1000", "--limits-address-connections-burst=1000"];
    const child = spawn(join(root, "dist/chatrandom"), [...args, ...limits], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let port = 0;
    for await (const line of createInterface({ input: child.stderr })) {
      const { msg, url } = JSON.parse(line) as { msg: string; url: string };
      if (msg !== "ready") continue;
      port = Number(new URL(url).port);
      break;
    }
    child.stderr.resume();
    if (port === 0) throw new Error("dist/chatrandom does not start: npm run build");
    const coturn = readdirSync("/proc").find((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith(`${folder}/programs/turnserver-`);
      } catch {
        return false;
      }
    });
    return new Place(child, port, Number(coturn), await turnServer(port));
  }

  async stop(): Promise<void> {
    const ended = once(this.child, "exit");
    this.child.kill("SIGTERM");
    await ended;
  }
}

async function turnServer(port: number): Promise<IceServer> {
  const socket = new WebSocket(`wss://${host}:${port}/ws`, "chatrandom.v1", { rejectUnauthorized: false });
  await once(socket, "open");
  socket.send('{"type":"hello"}');
  const [text] = (await once(socket, "message")) as [Buffer];
  socket.terminate();
  return (JSON.parse(String(text)) as Welcome).iceServers.find(({ username }) => username !== undefined)!;
}

/** A partner with a direct way: hears what arrives. In the range of the relay's ports, where it may be relayed to. */
async function partner(onPacket: (packet: Buffer) => void): Promise<Socket> {
  for (;;) {
    const socket = createSocket({ type: "udp4", recvBufferSize: 4 * 1024 ** 2 });
    try {
      socket.bind(49_152 + Math.floor(Math.random() * 16_000), host);
      await once(socket, "listening");
      socket.on("message", onPacket);
      return socket;
    } catch {
      socket.close();
    }
  }
}

const WAYS = ["direct", "udp", "tcp", "tls"] as const;
type Way = (typeof WAYS)[number];
const NAMES: Record<Way, string> = {
  direct: "directly, UDP",
  udp: "relay, UDP",
  tcp: "relay, TCP",
  tls: "relay, TLS on the HTTPS port",
};

async function open(place: Place, way: Way, to: Socket): Promise<Stream> {
  const { port } = to.address();
  if (way === "direct") {
    const socket = createSocket("udp4");
    socket.connect(port, host);
    await once(socket, "connect");
    return { send: (packet) => socket.send(packet), close: async () => void socket.close() };
  }
  const options: TurnOptions = {
    transport: way,
    host: host!,
    port: way === "tls" ? place.port : place.turnPort,
    credentials: place.credentials,
  };
  const client = await TurnClient.connect(options);
  await client.allocated();
  const { code } = await client.bindChannel(CHANNEL, { address: host!, port });
  if (code !== 0) throw new Error(`the relay refuses the partner with ${code}`);
  return {
    send: (packet) => client.send(CHANNEL, packet),
    close: async () => {
      await client.release();
      client.close();
    },
  };
}

async function turn(place: Place, way: Way): Promise<Turn> {
  const delays: number[] = [];
  let counting = false;
  const partners: Socket[] = [];
  const streams: Stream[] = [];
  for (let n = 0; n < number("streams"); n += 1) {
    const to = await partner((packet) => {
      if (counting) delays.push(performance.now() - packet.readDoubleBE(0));
    });
    partners.push(to);
    streams.push(await open(place, way, to));
  }
  const perMs = (number("mbit") * 1e6) / 8 / number("bytes") / 1_000;
  let sent = 0;
  const run = async (ms: number): Promise<void> => {
    const start = performance.now();
    const before = sent;
    for (let now = start; now - start < ms; now = performance.now()) {
      for (const due = before + (now - start) * perMs * streams.length; sent < due; sent += 1) {
        const packet = Buffer.allocUnsafe(number("bytes"));
        packet.writeDoubleBE(performance.now(), 0);
        streams[sent % streams.length]!.send(packet);
      }
      await elapse(TICK_MS);
    }
  };
  await run(1_000); // it gets going
  const [coturn, node] = [cpuOf(place.coturn), cpuOf(place.child.pid!)];
  sent = 0;
  counting = true;
  await run(number("seconds") * 1_000);
  await elapse(200); // what is under way arrives
  const used = { coturn: cpuOf(place.coturn) - coturn, node: cpuOf(place.child.pid!) - node };
  await Promise.all(streams.map((stream) => stream.close()));
  for (const socket of partners) socket.close();
  return { delays, sent, ...used };
}

const elapse = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));
const quantile = (of: readonly number[], share: number): number =>
  of.toSorted((a, b) => a - b)[Math.min(of.length - 1, Math.floor(of.length * share))] ?? Number.NaN;

async function main(): Promise<void> {
  if (host === undefined) throw new Error("this machine has no IPv4 address but loopback");
  const folder = mkdtempSync(join(tmpdir(), "chatrandom-bench-"));
  const place = await Place.start(folder);
  try {
    const turns = new Map<Way, Turn[]>(WAYS.map((way) => [way, []]));
    for (let round = 0; round < number("rounds"); round += 1)
      for (const way of WAYS) turns.get(way)!.push(await turn(place, way));

    console.log(
      `\n${number("streams")} streams of ${number("mbit")} Mbit/s, packets of ${number("bytes")} bytes, medians of ` +
        `${number("rounds")} turns of ${number("seconds")} s`,
    );
    const median = (way: Way, of: (turn: Turn) => number): number => quantile(turns.get(way)!.map(of), 0.5);
    const mbit = ({ sent }: Turn): number => (sent * number("bytes") * 8) / 1e6;
    const direct = [0.5, 0.99].map((share) => median("direct", ({ delays }) => quantile(delays, share)));
    const table: Record<string, Record<string, string>> = {};
    for (const way of WAYS) {
      const [p50, p99] = [0.5, 0.99].map((share) => median(way, ({ delays }) => quantile(delays, share)));
      const each = median(way, (one) => (one.coturn + one.node) / mbit(one));
      table[NAMES[way]] = {
        "lost %": median(way, ({ sent, delays }) => (1 - delays.length / sent) * 100).toFixed(2),
        "p50 ms": p50!.toFixed(2),
        "p99 ms": p99!.toFixed(2),
        ...(way !== "direct" && {
          "added p50": (p50! - direct[0]!).toFixed(2),
          "added p99": (p99! - direct[1]!).toFixed(2),
          "CPU ms a Mbit": each.toFixed(2),
          "of it coturn": median(way, (one) => one.coturn / mbit(one)).toFixed(2),
          "streams a core": Math.floor(1_000 / (each * number("mbit"))).toString(),
        }),
      };
    }
    console.table(table);
  } finally {
    await place.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

if (values.help) console.log(HELP);
else await main();
