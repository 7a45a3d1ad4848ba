import { createHash } from "node:crypto";
import { accessSync, constants, existsSync, readdirSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { realClock, type Clock } from "../clock.ts";
import { Failure } from "../failure.ts";
import { asset } from "./assets.ts";
import {
  extract,
  makeDirectory,
  makePrivateDirectory,
  privateDirectories,
  type EmbeddedProgram,
} from "./extract.ts";
import { cannotWrite, lockDirectory } from "./lock.ts";
import { pause, startProgram, type ProgramOptions, type RunningProgram } from "./program.ts";

export interface EmbeddedRedisOptions {
  /** An absolute path; made when it is missing. */
  dataDir: string;
  /** Bytes. When they are used up, writes fail; nothing is ever thrown out. */
  maxMemory: number;
  log: ProgramOptions["log"];
  /** Tells, while it starts, that nobody wants it any more. */
  stopping?: AbortSignal;
  /** The server to run, when it is not the one in the executable. */
  program?: EmbeddedProgram;
  clock?: Clock;
}

/**
 * The Redis of one appliance: Valkey on a unix socket in a private directory, without a TCP port, its data kept in the
 * data directory. Its log is written before it answers, except while the disk is busy, then within two seconds: so much
 * may be lost by a SIGKILL of it or of us, as by a failure of the machine. Who must know asks it with WAITAOF.
 */
export interface EmbeddedRedis extends RunningProgram {
  /** Path of its unix socket. It is the same after a restart. */
  readonly path: string;
}

export const valkey: EmbeddedProgram = {
  name: "valkey-server",
  content: () => asset("programs/valkey-server"),
  probe: ["--version"],
};

const LEFT_OVER_ENDS_WITHIN_MS = 3000;
const ANSWER_MS = 2000;

/** What the server says last when it cannot read what it wrote. The end of a log that was cut off it forgives. */
const DAMAGED = [
  "Bad file format reading the append only file",
  "Internal error in RDB",
  "Short read or OOM",
];

const damaged = (directory: string, cause: unknown): Failure =>
  new Failure(
    `the data of the embedded Redis in ${directory} is damaged, by a failing disk perhaps: mend a copy of it with ` +
      "valkey-check-aof --fix, or move that directory away and begin without its blocks and reports",
    1,
    { cause },
  );

/**
 * Makes the data directory and checks that it can be used.
 * @returns its real path: however it was spelled, it is one directory
 */
function prepareDataDir(dataDir: string): string {
  try {
    makeDirectory(dataDir);
    accessSync(dataDir, constants.R_OK | constants.W_OK | constants.X_OK);
    makeDirectory(join(dataDir, "redis"));
    accessSync(join(dataDir, "redis"), constants.R_OK | constants.W_OK | constants.X_OK);
    return realpathSync(dataDir);
  } catch (error) {
    throw cannotWrite(dataDir, error);
  }
}

/** Whether a unix socket can be made there: a path over 107 bytes fails, and so do some network file systems. */
async function takesSocket(path: string): Promise<boolean> {
  const server = createServer();
  const bound = await new Promise<boolean>((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(path, () => resolve(true));
  });
  if (bound) await new Promise((resolve) => server.close(resolve));
  return bound;
}

/** Places for the socket, best first: in the data directory, else in a short private directory named after it. */
function socketPaths(dataDir: string, env: NodeJS.ProcessEnv = process.env): string[] {
  const name = `chatrandom-${createHash("sha256").update(dataDir).digest("hex").slice(0, 16)}`;
  const short = [env["XDG_RUNTIME_DIR"], tmpdir(), "/tmp", "/var/tmp", "/dev/shm"];
  const directories = [...new Set(short)].filter((folder) => folder?.startsWith("/"));
  return [
    join(dataDir, "redis/redis.sock"),
    ...directories.map((folder) => join(folder!, name, "redis.sock")),
  ];
}

async function chooseSocket(paths: readonly string[]): Promise<string> {
  for (const path of paths) {
    try {
      makePrivateDirectory(dirname(path));
      rmSync(path, { force: true });
    } catch {
      continue;
    }
    if (await takesSocket(path)) return path;
  }
  throw new Failure(`found no place for the socket of the embedded Redis: tried ${paths.join(", ")}`);
}

/** Processes that serve one of these sockets: their command line names it. None are found where there is no /proc. */
export function serversOf(sockets: readonly string[]): number[] {
  if (!existsSync("/proc/self")) return [];
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => {
    try {
      const args = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      const flag = args.indexOf("--unixsocket");
      return flag !== -1 && sockets.includes(args[flag + 1]!);
    } catch {
      return false;
    }
  });
}

/**
 * Ends the servers of an earlier run. One is left only when it lacks the part that ends it with its starter (a server
 * taken from PATH) and the starter was killed. SIGTERM first, so that it writes and syncs its log. We hold the lock of
 * the data directory, so nobody needs them.
 * @throws Failure when one cannot be ended.
 */
async function endLeftOvers(
  sockets: readonly string[],
  log: ProgramOptions["log"],
  clock: Clock,
): Promise<void> {
  let left = serversOf(sockets);
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    for (const pid of left) {
      log.warn({ pid }, "ending the Redis of an earlier run");
      try {
        process.kill(pid, signal);
      } catch {
        // It has just ended, or it is somebody else's, and then we say so below.
      }
    }
    for (
      const deadline = clock.now() + LEFT_OVER_ENDS_WITHIN_MS;
      left.length > 0 && clock.now() < deadline;
    ) {
      await pause(clock, 10);
      left = serversOf(sockets);
    }
  }
  if (left.length > 0)
    throw new Failure(
      `a Redis of an earlier run (process ${left[0]}) uses the data directory and cannot be ended`,
    );
}

/**
 * Whether a Redis answers there; false also while it loads its data. One whose disk is full answers even PING with an
 * error, and is up all the same: it can be asked, and writes again when there is room. Silence
 * for `ANSWER_MS` counts as no answer.
 */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => socket.write("PING\r\n"));
    const done = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("data", (data) => done(/^(\+PONG|-MISCONF)/.test(data.toString())));
    socket.once("error", () => done(false));
    socket.once("close", () => done(false));
    socket.setTimeout(ANSWER_MS, () => done(false));
  });
}

/**
 * The socket of the embedded Redis that runs on a data directory now; undefined when none answers there. Nothing is
 * made or changed.
 */
export async function findEmbeddedRedis(dataDir: string): Promise<string | undefined> {
  if (!existsSync(dataDir)) return undefined;
  for (const path of socketPaths(realpathSync(dataDir))) if (await answers(path)) return path;
  return undefined;
}

/**
 * Starts the embedded Redis and keeps it running.
 * @returns when it answers
 * @throws Failure, one line for the operator: the data directory cannot be written, another process has it, no directory
 * to run programs from, the server does not start.
 */
export async function startEmbeddedRedis(options: EmbeddedRedisOptions): Promise<EmbeddedRedis> {
  const { maxMemory, log, clock = realClock, program = valkey } = options;
  const dataDir = prepareDataDir(options.dataDir);
  const unlock = await lockDirectory(dataDir);
  try {
    const paths = socketPaths(dataDir);
    await endLeftOvers(paths, log, clock);
    const path = await chooseSocket(paths);
    const settings: Record<string, string> = {
      port: "0",
      unixsocket: path,
      unixsocketperm: "700",
      dir: join(dataDir, "redis"),
      save: "",
      appendonly: "yes",
      appendfsync: "everysec",
      maxmemory: String(maxMemory),
      "maxmemory-policy": "noeviction",
      databases: "1",
      daemonize: "no",
      logfile: "",
      // Keeps the command line as it was given: by it a server that was left over is found.
      "set-proc-title": "no",
    };
    const redis = await startProgram({
      name: "the embedded Redis",
      command: async () => ({
        file: await extract(program, privateDirectories(dataDir)),
        args: Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
        // Without it a glibc build refuses to start on a machine without locales.
        env: { LC_ALL: "C" },
      }),
      answers: () => answers(path),
      log,
      stopping: options.stopping,
      clock,
    });
    return {
      ...redis,
      path,
      async stop() {
        await redis.stop();
        if (!path.startsWith(dataDir)) rmSync(dirname(path), { recursive: true, force: true });
        await unlock();
      },
    };
  } catch (error) {
    await unlock();
    const { message } = error as Error;
    if (DAMAGED.some((words) => message.includes(words))) throw damaged(join(dataDir, "redis"), error);
    throw error;
  }
}
