/** What `chatrandom doctor` looks at, one check after the other. Nothing is changed. */
import { readFileSync } from "node:fs";
import { isIPv4 } from "node:net";
import { availableParallelism, networkInterfaces, totalmem } from "node:os";
import { join } from "node:path";
import { getCACertificates } from "node:tls";
import { realClock } from "./clock.ts";
import type { Loaded } from "./config/load.ts";
import type { Config } from "./config/options.ts";
import { checkCertificate } from "./doctor/certificate.ts";
import { compared, judgeClock, type OtherClock } from "./doctor/clock.ts";
import { checkDataDir } from "./doctor/data-dir.ts";
import { judgeFileDescriptors } from "./doctor/file-descriptors.ts";
import { type Finding, fine, skipped, spelled, warning, wrong } from "./doctor/finding.ts";
import { judgeMemory } from "./doctor/memory.ts";
import { isChatRandom, judgePort, tryPort, wantedPorts } from "./doctor/ports.ts";
import { judgePublicAddress } from "./doctor/public-address.ts";
import { judgeRedis, measure } from "./doctor/redis.ts";
import { judgeRelay } from "./doctor/relay.ts";
import { addressesOf, judgeSite, visit } from "./doctor/site.ts";
import { judgeWebSocket, tryWebSocket } from "./doctor/websocket.ts";
import { findEmbeddedRedis, serversOf } from "./embedded/redis.ts";
import { isLoopbackHost } from "./loopback.ts";
import type { IceServer } from "./protocol/messages.ts";
import { withoutPassword } from "./redis/address.ts";
import { connectRedis, type RedisConnection } from "./redis/client.ts";
import { PREFIX } from "./redis/keys.ts";
import { listenHost } from "./relay/addresses.ts";
import { relayIce } from "./relay/ice-servers.ts";
import { isPublic } from "./address-ranges.ts";
import { testRelay, type Tried } from "./relay/self-test.ts";
import { dataDirStore } from "./tls/data-dir-store.ts";
import type { Certificate } from "./tls/certificate.ts";
import { kindOf } from "./tls/open.ts";
import { redisStore } from "./tls/redis-store.ts";

const REDIS_MS = 5_000;
const LOG = { info() {}, warn() {}, error() {} };

/** What is known of the ChatRandom on this machine, if one runs. */
interface Here {
  readonly kind: "serve" | "join";
  readonly running: boolean;
  /** Whether it answers at the port of the configuration. */
  readonly answers: boolean;
  /** The socket of its embedded Redis. */
  readonly embedded: string | undefined;
}

/** @param url where visitors open the place; without one, what the configuration says */
export async function examine({ config, file, warnings }: Loaded, url?: URL): Promise<Finding[]> {
  const kind = config.redis === "" ? "serve" : "join";
  const embedded = kind === "serve" ? await findEmbeddedRedis(config.data_dir) : undefined;
  const answers = config.port !== 0 && (await isChatRandom(config));
  const running = embedded !== undefined || answers;
  const here: Here = { kind, running, answers, embedded };
  const site = url ?? siteOf(config, running);

  // Who names a place and runs none here looks at it from elsewhere.
  const elsewhere = url !== undefined && !running;
  const machine = elsewhere
    ? { findings: [skipped("this machine", "no ChatRandom runs here: only what visitors see is looked at")] }
    : await examineMachine(config, here);
  const seen = site
    ? await examineSite(config, site, !elsewhere)
    : {
        from: [],
        findings: [
          skipped("page", `nothing runs here and no name is known: give an address, or ${spelled("domain")}`),
        ],
      };

  const clocks = [machine, seen].flatMap(({ clock }: { clock?: OtherClock }) => clock ?? []);
  const clock = judgeClock(clocks, [...ownAddresses(), ...seen.from]);
  return [...judgeConfiguration(file, warnings), ...machine.findings, clock, ...seen.findings];
}

function judgeConfiguration(file: string | undefined, warnings: readonly string[]): Finding[] {
  const check = "configuration";
  const text = file ?? "no file: defaults, variables and flags";
  const odd = warnings.map((each) => warning(check, each, "chatrandom config show tells what is in force"));
  return odd.length > 0 ? odd : [fine(check, text)];
}

/** Where visitors open the page. Behind a proxy only its default port is known. */
function siteOf(config: Config, running: boolean): URL | undefined {
  const { domain, port, host } = config;
  const secure = kindOf(config) !== "off";
  if (domain !== "") return new URL(secure ? `https://${domain}:${port}` : `https://${domain}`);
  if (!running || port === 0) return undefined;
  const name = host === "::" || host === "0.0.0.0" ? "localhost" : host;
  // Plain HTTP is for this machine itself.
  const scheme = isLoopbackHost(name) || !secure ? "http" : "https";
  return new URL(`${scheme}://${name.includes(":") ? `[${name}]` : name}:${port}`);
}

async function examineMachine(
  config: Config,
  here: Here,
): Promise<{ findings: Finding[]; clock?: OtherClock }> {
  const { kind, running, embedded } = here;
  const workers = config.workers === "auto" ? availableParallelism() : config.workers;
  const redis = await examineRedis(config, here);
  try {
    return {
      findings: [
        checkDataDir(config.data_dir),
        judgeMemory(memory(), config, running ? 0 : workers, kind),
        judgeFileDescriptors(limitsOf(embedded), config, embedded !== undefined),
        ...(await examinePorts(config, here)),
        ...(await checkCertificate(config, {
          now: Date.now(),
          roots: getCACertificates("default"),
          running,
          acme: () => acmeCertificate(config, kind, redis.connection),
        })),
        ...redis.findings,
      ],
      ...(redis.clock && { clock: redis.clock }),
    };
  } finally {
    await redis.connection?.close();
  }
}

function memory(): { total: number; available: number } {
  // 0 or a number beyond all memory where there is no limit.
  const limit = process.constrainedMemory();
  const total = limit > 0 ? Math.min(limit, totalmem()) : totalmem();
  return { total, available: process.availableMemory() };
}

/** The limits of the ChatRandom whose embedded Redis this is; without one, our own. */
function limitsOf(embedded: string | undefined): string | undefined {
  try {
    if (embedded === undefined) return readFileSync("/proc/self/limits", "utf8");
    const [server] = serversOf([embedded]);
    const [, parent] = /^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${server}/status`, "utf8")) ?? [];
    return readFileSync(`/proc/${parent}/limits`, "utf8");
  } catch {
    return undefined;
  }
}

async function examinePorts(config: Config, { kind, answers }: Here): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const port of wantedPorts(config, kind)) findings.push(judgePort(port, await tryPort(port), answers));
  return findings;
}

async function acmeCertificate(
  { domain, acme, data_dir, link }: Config,
  kind: Here["kind"],
  redis: RedisConnection | undefined,
): Promise<Certificate | undefined> {
  const of = { domain, authority: acme.directory, log: LOG };
  if (kind === "serve") {
    const directory = join(data_dir, "tls/acme");
    return dataDirStore({ ...of, directory, clock: realClock }).certificate();
  }
  if (!redis) throw new Error("Redis is away");
  return redisStore({ ...of, redis, prefix: PREFIX, secret: link.secret }).certificate();
}

async function examineRedis(
  { redis: target, data_dir }: Config,
  { kind, running, embedded }: Here,
): Promise<{ findings: Finding[]; clock?: OtherClock; connection?: RedisConnection }> {
  if (kind === "serve" && embedded === undefined) {
    const text = running
      ? `that of the ChatRandom which runs here is not below ${data_dir}: give its ${spelled("data_dir")}`
      : "the embedded one starts with chatrandom serve";
    return { findings: [skipped("redis", text)] };
  }
  const connection = connectRedis(embedded ?? target);
  const where = embedded ? "the embedded socket" : withoutPassword(target);
  try {
    await connection.check(REDIS_MS);
    const { client } = connection;
    const told = await measure(
      { ping: () => client.ping(), time: () => client.time(), info: () => client.info() },
      () => realClock.now(),
      Date.now,
    );
    return {
      findings: judgeRedis(told, where, embedded !== undefined),
      clock: compared(
        { whose: "Redis", addresses: connection.remoteAddresses() },
        { at: told.time, granularity: 0 },
        told.asked,
        told.answered,
      ),
      connection,
    };
  } catch (error) {
    const advice = embedded ? "restart chatrandom serve" : `check ${spelled("redis")}`;
    await connection.close();
    return { findings: [wrong("redis", `${where}: ${(error as Error).message}`, advice)] };
  }
}

interface Site {
  readonly findings: Finding[];
  readonly clock?: OtherClock;
  /** From where STUN servers see this machine: a router at such an address may lead back to it. */
  readonly from: readonly string[];
}

async function examineSite(config: Config, site: URL, here: boolean): Promise<Site> {
  const visited = await visit(site, Date.now);
  const findings = judgeSite(visited, Date.now(), here && kindOf(config) === "self-signed");
  if ("error" in visited) {
    const relay = await examineRelay(config, site, here, undefined);
    return { ...relay, findings: [...findings, ...relay.findings] };
  }

  const attempt = await tryWebSocket(visited.origin);
  findings.push(judgeWebSocket(attempt, visited.origin));
  const told = attempt.is === "welcomed" ? attempt.iceServers : undefined;
  const relay = await examineRelay(config, site, here, told);
  findings.push(...relay.findings);
  const { date, address = "", origin } = visited;
  const by = { whose: new URL(origin).host, addresses: [address] };
  const clock = date && compared(by, { at: date.at, granularity: 1_000 }, date.asked, date.answered);
  return { ...relay, findings, ...(clock && { clock }) };
}

/** Of those that visitors are given; where nobody could say which they are, of those of the configuration. */
async function examineRelay(
  config: Config,
  site: URL,
  here: boolean,
  told: readonly IceServer[] | undefined,
): Promise<Pick<Site, "findings" | "from">> {
  const servers =
    told ??
    (here
      ? relayIce({ ...config, relay: () => undefined, others: () => [], wallClock: Date.now }).servers(
          "doctor",
        )
      : []);
  if (told === undefined && servers.length === 0)
    return {
      findings: [skipped("relay", "the page could not be asked which STUN and TURN servers it has")],
      from: [],
    };
  const { turn } = config;
  const own = ownAddresses();
  const isEmbedded = here && turn.enabled && turn.urls.length === 0;
  // As the relay itself asks, but also where its address is given: that may be wrong.
  const asks =
    isEmbedded && !isLoopbackHost(listenHost(config)) && !own.some((each) => isIPv4(each) && isPublic(each));
  const [tried, asked] = (await Promise.all(
    [servers, asks ? [{ urls: [...turn.public_address_from] }] : []].map((some) =>
      testRelay(some, { clock: realClock }),
    ),
  )) as [Tried[], Tried[]];
  const name = site.hostname.replace(/^\[|\]$/g, "");
  const named = isLoopbackHost(name) ? [] : await addressesOf(name);
  const configured = isEmbedded ? { configured: turn.public_address } : {};
  return {
    findings: [...judgeRelay(tried), judgePublicAddress({ named, own, here, tried, asked, ...configured })],
    from: [...tried, ...asked].flatMap(({ mapped }) => mapped?.address ?? []),
  };
}

const ownAddresses = (): string[] =>
  Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address));
