/** The relay of one appliance: coturn, started, watched, restarted and stopped like the embedded Redis. */
import { randomBytes } from "node:crypto";
import { readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { getSystemErrorName } from "node:util";
import { realClock, type Clock } from "../clock.ts";
import type { Config } from "../config/options.ts";
import { asset } from "../embedded/assets.ts";
import { extract, privateDirectories, type EmbeddedProgram } from "../embedded/extract.ts";
import {
  startProgram,
  type ProgramOptions,
  type ProgramState,
  type RunningProgram,
} from "../embedded/program.ts";
import { seldom } from "../seldom.ts";
import { addressesOf, listenHost, type Machine, type Nat, thisMachine } from "./addresses.ts";
import { countAllocations } from "./allocations.ts";
import { announce } from "./announce.ts";
import { answersStun } from "./answers-stun.ts";
import { choosePort, notOurs, relayCannotBind, type Unbound } from "./choose-port.ts";
import { coturnConfig } from "./coturn-config.ts";
import { addRefusals, noRefusals, type RelayCounts } from "./counts.ts";
import { relaySecretOf } from "./credentials.ts";
import type { OwnRelay } from "./ice-servers.ts";
import { findPublicAddress, type Sought } from "./public-address.ts";
import { Whereabouts } from "./whereabouts.ts";

export interface EmbeddedRelayOptions {
  readonly config: Pick<Config, "host" | "domain" | "http" | "turn" | "data_dir">;
  /** What credentials are made with; see `relaySecretOf`. */
  readonly secret: string;
  readonly log: ProgramOptions["log"];
  /** Tells, while it starts, that nobody wants it any more. */
  readonly stopping?: AbortSignal;
  /** The server to run, when it is not the one in the executable. */
  readonly program?: EmbeddedProgram;
  readonly clock?: Clock;
  /** What there is of this machine; asked again while the relay runs. */
  readonly machine?: () => Promise<Machine>;
  readonly find?: typeof findPublicAddress;
}

/** An embedded relay as the nodes of its appliance know it; can be sent to workers. */
export interface SharedRelay extends OwnRelay {
  /** Where, on loopback, it takes connections with the PROXY protocol. */
  readonly proxyPort: number;
  /** The router in front of it, as far as is known. */
  readonly nat?: Nat;
}

export interface EmbeddedRelay {
  /** As it is now. */
  shared(): SharedRelay;
  /** Starts it. Resolves when it answers for the first time; rejects with a `Failure` when it cannot start. */
  start(): Promise<void>;
  state(): ProgramState;
  /** The process, while there is one. */
  pid(): number | undefined;
  counts(): Promise<RelayCounts>;
  /** Calls back when its addresses have changed. */
  onMove(listener: () => void): void;
  /** Resolves when the process is gone. Calling it again is fine. */
  stop(): Promise<void>;
}

export const coturn: EmbeddedProgram = {
  name: "turnserver",
  content: () => asset("programs/turnserver"),
  probe: ["--version", "--log-file=stdout"],
};

const LOOK_AGAIN_MS = 10_000;
/** A network that has just come may not lead out yet. */
const SETTLE_MS = 5_000;
/** To count allocations takes a look at every socket of the system, and strangers may ask for it any number of times. */
const COUNT_EVERY_MS = 1_000;

/**
 * The relay of `serve` or `join`; undefined where the configuration wants none, or names others in its place. In a cluster
 * every node's takes the same credentials.
 */
export async function openRelayFor(
  kind: "serve" | "join",
  config: Config,
  log: ProgramOptions["log"],
  stopping: AbortSignal,
): Promise<EmbeddedRelay | undefined> {
  const { turn, link } = config;
  if (!turn.enabled || turn.urls.length > 0) return undefined;
  const secret = kind === "join" ? relaySecretOf(link.secret) : randomBytes(32).toString("hex");
  return openRelay({ config, secret, log, stopping });
}

/**
 * Chooses addresses and ports; nothing runs yet.
 * @throws Failure, one line for the operator: the port is taken, an address is none of this machine.
 */
export async function openRelay(options: EmbeddedRelayOptions): Promise<EmbeddedRelay> {
  const { config, secret, log, clock = realClock, program = coturn } = options;
  const { machine = thisMachine, find = findPublicAddress } = options;
  const { turn, data_dir } = config;
  const hostOption = turn.host === "" ? "--host" : "--turn-host";
  const host = listenHost(config);
  const hosts = await addressesOf(host).catch((cause: unknown) => {
    throw notOurs(host, hostOption, cause);
  });
  const where = await Whereabouts.look({ wanted: config, hosts, machine, clock, log });
  const asks = turn.public_address === "" ? turn.public_address_from : [];
  const port = await choosePort(where.addresses.listen, turn.port, hostOption);
  announce({ addresses: where.addresses, port, config, asks, log });
  const proxyPort = await choosePort(["127.0.0.1"], 0, hostOption);
  const directories = privateDirectories(data_dir);
  const name = `relay-${process.pid}-${randomBytes(4).toString("hex")}`;
  let files: string[] = [];
  const removeFiles = (): void => {
    for (const file of files) rmSync(file, { force: true });
  };

  const refusals = noRefusals();
  let running: RunningProgram | undefined;
  let starting: Promise<void> | undefined;
  let unbound: Unbound | undefined;
  const start = async (): Promise<void> => {
    running = await startProgram({
      name: "the relay",
      command: async () => {
        const file = await extract(program, directories);
        // Beside the program: that directory is ours alone.
        const [configFile, pidFile] = ["conf", "pid"].map((ending) =>
          join(dirname(file), `${name}.${ending}`),
        ) as [string, string];
        removeFiles();
        removeOldFiles(dirname(file));
        files = [configFile, pidFile];
        const text = coturnConfig({
          addresses: where.addresses,
          port,
          proxyPort,
          limits: turn,
          secret,
          pidFile,
        });
        writeFileSync(configFile, text, { mode: 0o600, flag: "wx" });
        return { file, args: ["-c", configFile] };
      },
      tell(line) {
        addRefusals(refusals, line);
        unbound = unboundIn(line, port) ?? unbound;
        return redacted(line);
      },
      answers: async () => {
        const answers = await answersStun(proxyPort);
        // It has read the file: the secret need not lie there.
        if (answers) removeFiles();
        return answers;
      },
      log,
      stopping: options.stopping,
      clock,
    }).catch((error: unknown) => {
      removeFiles();
      throw unbound === undefined ? error : relayCannotBind(unbound, port, hostOption, error);
    });
  };

  const count = seldom(clock, COUNT_EVERY_MS, () =>
    countAllocations(running!.pid()!, where.addresses.relay, turn.min_port, turn.max_port),
  );
  const allocations = async (): Promise<number> => (running?.pid() === undefined ? 0 : count());

  const sought = (): Sought | undefined => {
    const place = running?.state() === "up" ? where.sought : undefined;
    return place && { ...place, port, secret };
  };
  const finder = find({
    servers: asks,
    relay: sought,
    found(nat) {
      where.found(nat);
      look();
    },
    clock,
    log,
  });

  const moved = new Set<() => void>();
  const lookAgain = async (): Promise<void> => {
    if (!running) return;
    const move = await where.lookAgain(async () => (await allocations()) > 0);
    if (!move) return;
    for (const listener of moved) listener();
    running.restart();
    if (move.withMachine) finder.askIn(SETTLE_MS);
  };
  let looking = Promise.resolve();
  const look = (): void => {
    looking = looking
      .then(lookAgain)
      .catch((error: Error) => log.warn({ err: error }, "cannot look for new addresses"));
  };
  const stopLooking = clock.every(LOOK_AGAIN_MS, look);

  let stopping: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    stopLooking();
    await starting?.catch(() => {});
    finder.stop();
    await running?.stop();
    removeFiles();
  };
  return {
    shared() {
      const { offered, reach, nat } = where.addresses;
      return { hosts: offered, reach, port, proxyPort, secret, ...(nat && { nat }) };
    },
    start: () => (starting ??= start().then(() => finder.askIn(0))),
    state: () => running?.state() ?? "starting",
    pid: () => running?.pid(),
    counts: async () => ({ allocations: await allocations(), ...refusals }),
    onMove: (listener) => void moved.add(listener),
    stop: () => (stopping ??= stop()),
  };
}

/** What coturn says before it ends, because it cannot listen on its port. */
function unboundIn(line: string, port: number): Unbound | undefined {
  const [, address, at, errno] =
    /^\d+: : Trying to bind fd \d+ to <(.+):(\d+)>: errno=(\d+)$/.exec(line) ?? [];
  return address !== undefined && Number(at) === port
    ? { address, code: getSystemErrorName(-Number(errno)) }
    : undefined;
}

/** They are there for the moment of a start. */
const FILES_STAY_MS = 60_000;

/** Who is killed while the relay starts leaves the secret behind, and in a cluster the next one has the same. */
function removeOldFiles(directory: string): void {
  for (const name of readdirSync(directory)) {
    if (!/^relay-\d+-[0-9a-f]{8}\.(conf|pid)$/.test(name)) continue;
    const file = join(directory, name);
    const { mtimeMs } = statSync(file, { throwIfNoEntry: false }) ?? { mtimeMs: Number.POSITIVE_INFINITY };
    if (mtimeMs < Date.now() - FILES_STAY_MS) rmSync(file, { force: true });
  }
}

/** It says whom it refused to relay to, and that may be a visitor. */
const redacted = (line: string): string =>
  line.replace(
    /\b\d{1,3}(\.\d{1,3}){3}\b|(?<![\w:])[0-9a-f]{0,4}(:[0-9a-f]{0,4}){2,7}(?![\w:])/gi,
    "[address]",
  );
