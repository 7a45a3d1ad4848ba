/**
 * Every option there is. Flags, variables, TOML keys, the example file, the reference in the README, completion and
 * the type `Config` all come from this one table: an option is added here and nowhere else.
 */
import { join, resolve } from "node:path";
import { MIN_SECRET_CHARACTERS } from "../links/keys.ts";
import { type Env, HOUR, MINUTE, option, type Option, SECOND } from "./option.ts";
import { turnOptions } from "./turn-options.ts";
import {
  base64,
  choice,
  decimal,
  domainName,
  duration,
  email,
  host,
  httpsUrl,
  iceUrl,
  list,
  network,
  optional,
  orWord,
  origin,
  path,
  port,
  redisUrl,
  size,
  text,
  whole,
} from "./types.ts";

export type { Env, Option };

const megabytes = (count: number): number => count * 1024 ** 2;

/** A token bucket: so many at once, then so many a second. */
const bucket = <const N extends string>(name: N, burst: number, perSecond: number, what: string) =>
  ({
    [`limits.${name}.burst`]: option({
      type: whole(1, 1_000_000),
      default: burst,
      doc: `${what} that are let through at once.`,
    }),
    [`limits.${name}.per_second`]: option({
      type: decimal(0.001, 1_000_000),
      default: perSecond,
      doc: `${what} that are let through a second after that.`,
    }),
  }) as Record<`limits.${N}.burst` | `limits.${N}.per_second`, Option<number>>;

/** Where data lives unless told otherwise: the user's data directory, or the working directory without a HOME. */
const defaultDataDir = (env: Env): string => {
  if (env.XDG_DATA_HOME?.startsWith("/")) return join(env.XDG_DATA_HOME, "chatrandom");
  if (env.HOME?.startsWith("/")) return join(env.HOME, ".local/share/chatrandom");
  return resolve("chatrandom-data");
};

export const options = {
  host: option({
    type: host,
    default: "::",
    doc:
      'The address to listen on. "::" is every address of this machine, IPv6 and IPv4; "127.0.0.1" is right behind a ' +
      "reverse proxy on the same machine. Browsers give a page the camera only on localhost or over HTTPS.",
  }),
  port: option({
    type: port,
    default: 8080,
    doc: "The port to listen on. 0 takes any free one and says which.",
  }),
  data_dir: option({
    type: path,
    default: defaultDataDir,
    defaultDoc: "$XDG_DATA_HOME/chatrandom or ~/.local/share/chatrandom; ./chatrandom-data without a HOME",
    example: "/var/lib/chatrandom",
    doc: "The directory for what must last. It is made when it is missing and belongs to one chatrandom serve at a time.",
  }),
  workers: option({
    type: orWord("auto", whole(1, 256)),
    default: 1,
    doc:
      "How many processes share the port, each one a node with sessions of its own. auto is one for every core of this " +
      "machine. One that ends is started again while the others go on. session.max and the limits by address hold for " +
      "each of them. /metrics adds up all of them; /readyz is the word of the one that happens to answer.",
  }),
  domain: option({
    type: optional(domainName),
    default: "",
    doc: 'The name under which visitors open the page. With tls = "acme" the certificate is for it.',
  }),
  tls: option({
    type: choice("auto", "off", "self-signed", "files", "acme"),
    default: "auto",
    doc:
      "Where the certificate for HTTPS comes from. HTTP and HTTPS share the port, and who comes without HTTPS from another " +
      "machine is sent to it. self-signed makes a certificate, which browsers warn of; files takes https.certificate " +
      "and https.key; acme gets one for the domain from Let's Encrypt, whose terms you accept by that, and renews it. " +
      "auto is files when https.certificate is given, off when host is an address that only this machine reaches, and " +
      "self-signed otherwise. off is right behind a reverse proxy that ends HTTPS.",
  }),
  log_level: option({
    type: choice("silent", "fatal", "error", "warn", "info", "debug", "trace"),
    default: "info",
    doc: "How much is logged. debug and trace are for finding faults: they may hold addresses of visitors.",
  }),
  log_format: option({
    type: choice("auto", "pretty", "json"),
    default: "auto",
    doc: "How the log is written to standard error. auto is pretty on a terminal and one JSON object a line otherwise.",
  }),
  redis: option({
    type: optional(redisUrl),
    default: "",
    masked: true,
    doc:
      "The Redis or Valkey that the nodes of a cluster share; chatrandom join needs it. All spellings take a user and a " +
      "password for the Redis servers. Behind Sentinels, which are named here with the master's name, ?db=1 chooses " +
      "a database, and ?sentinel_user= and ?sentinel_password= are for the Sentinels where theirs differ. A private " +
      "authority's certificate is trusted when the variable NODE_EXTRA_CA_CERTS names its file.",
  }),
  drain_timeout: option({
    type: duration("0s", "1h"),
    default: 5 * SECOND,
    doc:
      "How long a stopping node waits for its visitors to go elsewhere. A supervisor must wait longer than this " +
      "before it kills.",
  }),

  "page.name": option({
    type: text(60),
    default: "ChatRandom",
    doc: "The name of the place, shown on the page and in previews of links to it.",
  }),

  "http.allowed_origins": option({
    type: list(origin),
    default: [],
    doc: "Other sites whose pages may connect. The page's own origin always may.",
  }),
  "http.trusted_proxies": option({
    type: list(network),
    default: [],
    doc:
      "Reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are believed. Nobody is by default; without it " +
      "all visitors behind a proxy on another machine share the limits of one address. Nobody seen at " +
      "their own addresses counts as of the private network: name a balancer that passes on TCP too, though its visitors can " +
      "then claim any address.",
  }),

  "https.certificate": option({
    type: optional(path),
    default: "",
    doc:
      "The file with the certificate and those of its chain, as PEM. It is read again when it or the key changes; one " +
      "that cannot be used is logged and the old one stays.",
  }),
  "https.key": option({
    type: optional(path),
    default: "",
    doc: "The file with the key of https.certificate, as PEM without a password.",
  }),

  "acme.email": option({
    type: optional(email),
    default: "",
    doc: "Where the authority may write to when something is wrong with the certificate.",
  }),
  "acme.directory": option({
    type: httpsUrl,
    default: "https://acme-v02.api.letsencrypt.org/directory",
    doc:
      "The authority, by the address of its ACME directory. A private one's own certificate is trusted when the " +
      "variable NODE_EXTRA_CA_CERTS names its file.",
  }),
  "acme.eab_key_id": option({
    type: text(512),
    default: "",
    doc:
      "For an authority that gives certificates only to its customers, such as ZeroSSL or Google Trust Services: the name " +
      "of the key that it gave you for external account binding.",
  }),
  "acme.eab_key": option({
    type: optional(base64),
    default: "",
    secret: true,
    doc: "The key that acme.eab_key_id names. It is used once, to register the account.",
  }),
  "acme.challenge": option({
    type: choice("auto", "http-01", "tls-alpn-01"),
    default: "auto",
    doc:
      "How the authority checks that the domain leads here. http-01 comes to port 80 of the domain, tls-alpn-01 to port " +
      "443. auto tries one after the other.",
  }),
  "acme.http_port": option({
    type: port,
    default: 80,
    doc:
      "The port that is listened on for http-01, which port 80 of the domain must lead to. It also sends visitors on " +
      "to HTTPS.",
  }),

  "session.grace": option({
    type: duration("1s", "10m"),
    default: 20 * SECOND,
    doc: "How long a visitor whose connection is lost may come back and find everything as it was.",
  }),
  "session.max": option({
    type: whole(1, 1_000_000),
    default: 20_000,
    doc:
      "How many sessions a node holds, and each of several workers is one. Each connection takes a file descriptor: where " +
      "ulimit -n allows fewer, a node holds fewer.",
  }),

  ...bucket("find", 10, 1, "Searches of one connection"),
  ...bucket("signal", 100, 50, "Signals of one connection"),
  ...bucket("other", 20, 5, "Other messages of one connection"),
  ...bucket("address_connections", 100, 5, "New connections of one address"),
  ...bucket("address_sessions", 100, 2, "New sessions of one address"),
  ...bucket("address_finds", 200, 20, "Searches of one address"),

  "link.host": option({
    type: optional(host),
    default: "",
    defaultDoc: "the address by which this machine reaches Redis",
    doc: "The name or address by which the other nodes of a cluster reach this one.",
  }),
  "link.bind": option({
    type: host,
    default: "::",
    doc: 'The address to listen on for the other nodes of a cluster. "::" is every address of this machine, IPv6 and IPv4.',
  }),
  "link.port": option({
    type: port,
    default: 7400,
    doc:
      "The port to listen on for the other nodes of a cluster. 0 takes any free one. Several workers take as many, from " +
      "this one on.",
  }),
  "link.secret": option({
    type: optional(text(1024, MIN_SECRET_CHARACTERS)),
    default: "",
    secret: true,
    doc: "What the nodes of a cluster know each other by: the same for all, for example from openssl rand -hex 32.",
  }),

  "matching.interests_after": option({
    type: duration("0s", "1h"),
    default: 5 * SECOND,
    doc: "How long a visitor waits for somebody with a shared interest before anybody will do.",
  }),
  "matching.languages_after": option({
    type: duration("0s", "1h"),
    default: 10 * SECOND,
    doc: "How long a visitor waits for somebody with a shared language before anybody will do.",
  }),
  "matching.recent_after": option({
    type: duration("0s", "1h"),
    default: 10 * SECOND,
    doc: "How long a visitor waits for somebody new before a recent partner will do.",
  }),
  "matching.recent_for": option({
    type: duration("0s", "7d"),
    default: 30 * MINUTE,
    doc: "How long a partner counts as recent.",
  }),
  "matching.block_for": option({
    type: duration("1m", "365d"),
    default: 24 * HOUR,
    doc: "How long two visitors are kept apart after one blocked or reported the other.",
  }),

  "ice.urls": option({
    type: list(iceUrl, 10),
    default: [],
    doc: "Further STUN and TURN servers that pages use to find a way to each other, beside those of turn.",
  }),
  "ice.username": option({
    type: text(512),
    default: "",
    doc: "The username for the TURN servers in ice.urls.",
  }),
  "ice.credential": option({
    type: text(512),
    default: "",
    secret: true,
    doc: "The password for the TURN servers in ice.urls. Every visitor is given it.",
  }),
  "ice.policy": option({
    type: choice("all", "relay"),
    default: "all",
    doc:
      "Which ways calls may take. relay sends every call through a TURN server, which hides visitors' addresses from " +
      "each other; the node then passes no other address on.",
  }),

  ...turnOptions,

  "embedded.max_memory": option({
    type: size("16mb", "1024gb"),
    default: megabytes(256),
    doc: "How much memory the embedded Redis may take. 100,000 visitors take about 30mb.",
  }),
};

export type Options = typeof options;
export type Key = keyof Options;
export const keys = Object.keys(options) as Key[];

/** The value that an option has in `Config`: durations in milliseconds, sizes in bytes. */
export type ValueOf<K extends Key> = Options[K] extends Option<infer T> ? T : never;

type Head<K> = K extends `${infer H}.${string}` ? H : K;
type Tail<K, H extends string> = K extends `${H}.${infer Rest}` ? Rest : never;
type Tree<O> = {
  readonly [H in Head<keyof O> & string]: H extends keyof O
    ? O[H] extends Option<infer T>
      ? T
      : never
    : Tree<{ [K in keyof O as Tail<K, H>]: O[K] }>;
};

/** What the operator decided, frozen, nested as the keys are: `config.session.grace`. */
export type Config = Tree<Options>;

export const flagOf = (key: string): string => key.replace(/[._]/g, "-");
export const variableOf = (key: string): string => `CHATRANDOM_${key.replaceAll(".", "_").toUpperCase()}`;

export const defaultOf = (key: Key, env: Env): unknown => {
  const value = options[key].default;
  return typeof value === "function" ? value(env) : value;
};
