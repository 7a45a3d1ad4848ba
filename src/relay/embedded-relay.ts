/** The relay of one appliance: coturn, started, watched, restarted and stopped like the embedded Redis. */
import { randomBytes } from "node:crypto";
import { readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { isIPv4 } from "node:net";
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
import {
  addressesOf,
  isLost,
  listenHost,
  type Machine,
  type Nat,
  relayAddresses,
  type RelayAddresses,
  signatureOf,
  thisMachine,
} from "./addresses.ts";
import { countAllocations } from "./allocations.ts";
import { answersStun } from "./answers-stun.ts";
import { choosePort, notOurs, relayCannotBind, type Unbound } from "./choose-port.ts";
import { coturnConfig } from "./coturn-config.ts";
import { addRefusals, noRefusals, type RelayCounts } from "./counts.ts";
import { relaySecretOf } from "./credentials.ts";
import type { OwnRelay } from "./ice-servers.ts";
import { findPublicAddress, type Sought } from "./public-address.ts";
import { isPrivate, isPublic } from "./ranges.ts";

export interface EmbeddedRelayOptions {
  readonly config: Pick<Config, "host" | "domain" | "turn" | "data_dir">;
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
/**
 * A new public address, and what is forbidden with it, is not put off for longer. Calls that go by the relay then move to
 * it anew, within seconds, as the pages see to it.
 */
const PUT_OFF_MS = 60_000;
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
  let seen = await machine();
  let found: Nat | undefined;
  let addresses = relayAddresses(config, hosts, seen);
  const asks = turn.public_address === "" ? turn.public_address_from : [];
  const port = await choosePort(addresses.listen, turn.port, hostOption);
  const at = addresses.offered;
  if (turn.public_address !== "" && isPrivate(turn.public_address)) {
    log.info({ at, port }, "the relay can be reached in the private network that turn.public_address is of");
  } else if (addresses.reach === "public") log.info({ at, port }, "the relay can be reached from everywhere");
  else if (addresses.reach === "private") {
    log.info(
      { at, port, allowPrivate: addresses.allowPrivate, asks },
      "the relay is in a private network. For calls from elsewhere forward its ports to this machine" +
        (asks.length > 0
          ? "; from where it is seen is asked once it runs"
          : " and say by which address it is reached then: turn.public_address"),
    );
  } else {
    log.info(
      { at, port },
      "only this machine reaches the relay. For others: turn.host, or domain when a proxy is in front",
    );
  }
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
        const text = coturnConfig({ addresses, port, proxyPort, limits: turn, secret, pidFile });
        writeFileSync(configFile, text, { mode: 0o600, flag: "wx" });
        return { file, args: ["-c", configFile] };
      },
      tell(line) {
        addRefusals(refusals, line);
        unbound = unboundIn(line, port) ?? unbound;
        return withoutAddresses(line);
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
    countAllocations(running!.pid()!, addresses.relay, turn.min_port, turn.max_port),
  );
  const allocations = async (): Promise<number> => (running?.pid() === undefined ? 0 : count());

  const sought = (): Sought | undefined => {
    const { reach, nat, relay, own } = addresses;
    const inside = relay.find((address) => isIPv4(address) && !isPublic(address));
    if (running?.state() !== "up" || reach === "this machine" || inside === undefined) return undefined;
    const relayed = relay.map((address) => (address === nat?.inside ? nat.outside : address));
    return { inside, ...(nat && { outside: nat.outside }), relayed, own, port, secret };
  };
  const finder = find({
    servers: asks,
    relay: sought,
    found(nat) {
      found = nat;
      look();
    },
    clock,
    log,
  });

  const moved = new Set<() => void>();
  const stateOf = (of: Machine, { nat }: RelayAddresses): string => `${signatureOf(of)} ${nat?.outside}`;
  let told = stateOf(seen, addresses);
  /** Since when the relay has had other addresses that it does not take yet. */
  let putOffSince: number | undefined;
  /**
   * New addresses are listened on, and old ones let go: coturn has to begin anew for that, which ends the calls that go by
   * it. Networks of containers come and go, so that waits until there is no call; but not for ever where others cannot
   * reach it meanwhile or may reach too much, as one visitor alone could have it wait, and not at all where calls have lost
   * their address.
   */
  const lookAgain = async (): Promise<void> => {
    const now = await machine();
    const say = (state: string, what: object, message: string): void => {
      if (state !== told) log.info(what, message);
      told = state;
    };
    let next: RelayAddresses;
    try {
      next = relayAddresses(config, hosts, now, found);
    } catch (error) {
      const reason = (error as Error).message;
      return say(signatureOf(now), { reason }, "the relay stays at its addresses");
    }
    // It was that of another network.
    if (next.nat?.outside !== found?.outside) found = undefined;
    if (!running) return;
    const state = stateOf(now, next);
    if (!isLost(addresses, next)) {
      if (state === stateOf(seen, addresses)) return void (putOffSince = undefined);
      const presses =
        next.nat?.outside !== addresses.nat?.outside || next.allowPrivate !== addresses.allowPrivate;
      putOffSince ??= clock.now();
      const isLate = presses && clock.now() - putOffSince >= PUT_OFF_MS;
      if (!isLate && (await allocations()) > 0) {
        const atMost = presses ? ", or in a minute" : "";
        return say(
          state,
          {},
          `the relay has other addresses now; it takes them when no call goes by it${atMost}`,
        );
      }
    }
    putOffSince = undefined;
    const isElsewhere = signatureOf(now) !== signatureOf(seen);
    [seen, addresses, told] = [now, next, state];
    log.info({ at: addresses.offered }, "the relay has other addresses now; it starts again");
    for (const listener of moved) listener();
    running.restart();
    if (isElsewhere) finder.askIn(SETTLE_MS);
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
    shared: () => ({
      hosts: addresses.offered,
      reach: addresses.reach,
      port,
      proxyPort,
      secret,
      ...(addresses.nat && { nat: addresses.nat }),
    }),
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
const withoutAddresses = (line: string): string =>
  line.replace(
    /\b\d{1,3}(\.\d{1,3}){3}\b|(?<![\w:])[0-9a-f]{0,4}(:[0-9a-f]{0,4}){2,7}(?![\w:])/gi,
    "[address]",
  );
