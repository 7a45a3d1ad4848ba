/** What `serve` says on a terminal once it serves: how to open the page, what is on, what to do next. */
import { isIP } from "node:net";
import type { NetworkInterfaceInfo } from "node:os";
import { renderUnicodeCompact } from "uqr";
import type { Config } from "../config/options.ts";
import { isLoopbackHost } from "../loopback.ts";
import type { SharedRelay } from "../relay/embedded-relay.ts";
import { isPrivate, isPublic } from "../address-ranges.ts";
import type { Shown } from "../tls/certificate.ts";
import { VERSION } from "../version.ts";

export type Interfaces = NodeJS.Dict<NetworkInterfaceInfo[]>;

export interface Greeting {
  config: Config;
  /** How to open the page, this machine's way first. */
  ways: readonly Way[];
  /** What HTTPS shows; undefined where it is off. */
  certificate?: Shown;
  /** The embedded relay; undefined where there is none. */
  relay?: Pick<SharedRelay, "hosts" | "port" | "reach">;
  /** The Redis that is used, in words; the embedded one when undefined. */
  redis?: string;
  /** The config file in force. */
  file?: string;
  colors: boolean;
  /** How wide the terminal is, in characters. */
  columns: number;
}

/** One way to open the page, and from where it works. */
export interface Way {
  url: string;
  from: "this machine" | "your network" | "everywhere";
}

/** More addresses than this are those of containers and virtual machines. */
const MAX_ADDRESSES = 4;
const INDENT = 14;

export function greeting(given: Greeting): string {
  const { config, ways, certificate, relay, redis, file, colors, columns } = given;
  const style = (code: string, text: string): string => (colors ? `\u001b[${code}m${text}\u001b[0m` : text);
  const bold = (text: string): string => style("1", text);
  const dim = (text: string): string => style("2", text);

  const room = columns - INDENT;
  const row = (label: string, text: string, remark = "", shown = (line: string) => line): string => {
    const fits = text.length + 2 + remark.length <= room;
    const lines = fits
      ? [`${shown(text)}${text && remark && "  "}${remark && dim(remark)}`]
      : [...wrapped(text, room).map(shown), ...wrapped(remark, room).map(dim)];
    const first = `  ${dim(label)}${" ".repeat(INDENT - 2 - label.length)}`;
    return first + lines.join(`\n${" ".repeat(INDENT)}`);
  };

  const { page, data_dir } = config;
  const open = ways.map(({ url, from }, index) =>
    row(index === 0 ? "Open" : "", url, FROM[from] + butAt(url, config, certificate), bold),
  );
  const best = ways.find(({ url }) => url.startsWith("https:") && butAt(url, config, certificate) === "");
  const phone = qrCode(best === undefined ? ways : [best], columns).map(
    (line) => " ".repeat(INDENT) + style("97;40", line),
  );
  const on = [
    ...httpsRows(config, certificate).map((line) => row(...line)),
    row("Redis", redis ?? "embedded", redis === undefined ? data_dir : ""),
    ...relayRows(config, relay).map((line, index) => row(index === 0 ? "STUN, TURN" : "", ...line)),
    row("Options", file ?? "defaults", "chatrandom config show tells all"),
  ];
  // Who tries it alone needs to be a second visitor somewhere: rule M3 keeps the tabs of one browser apart.
  const second = phone.length > 0 ? ", another browser, or by the code on a phone" : " or another browser";
  const next = [
    row("Next", `Press Start on the page, and again in a private window${second}.`),
    row("", "Two tabs or windows of one browser never meet each other."),
    row("", adviceFor(config, certificate)),
    row("", "Ctrl-C stops."),
  ];
  const product = `ChatRandom ${VERSION}`;
  const title = bold(page.name === "ChatRandom" ? product : `${page.name}, by ${product}`);
  const blocks = [[`  ${title}`], open, phone, on, next].filter((block) => block.length > 0);
  return `\n${blocks.map((rows) => rows.join("\n")).join("\n\n")}\n\n`;
}

const FROM: Record<Way["from"], string> = {
  "this machine": "on this machine",
  "your network": "in your network",
  everywhere: "from everywhere",
};

/** What is not as it should be at one of the ways. A warning at all of them is no news there. */
function butAt(url: string, { tls, domain }: Config, certificate: Shown | undefined): string {
  const host = new URL(url).hostname.replace(/^\[|\]$/g, "");
  // Browsers give the camera to secure pages only, and to those of their own machine.
  if (!url.startsWith("https:")) return isLoopbackHost(host) ? "" : ", without camera: that needs HTTPS";
  if (certificate === undefined || (certificate.selfSigned && tls !== "acme")) return "";
  const names = tls === "acme" ? [domain] : certificate.names;
  const parent = host.slice(host.indexOf("."));
  return names.includes(host) || names.includes(`*${parent}`) ? "" : ", with a warning";
}

/** Breaks between words. A word that is longer than the line stays whole, so that it can be copied. */
function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ").filter((word) => word !== "")) {
    const line = `${lines.at(-1) ?? ""} ${word}`.trimStart();
    if (lines.length > 0 && line.length <= width) lines[lines.length - 1] = line;
    else lines.push(word);
  }
  return lines;
}

type Row = [label: string, text: string, remark?: string];

function httpsRows({ tls, https, domain, acme }: Config, certificate: Shown | undefined): Row[] {
  if (certificate === undefined) return [["HTTPS", "off"]];
  const until = `until ${new Date(certificate.until).toISOString().slice(0, 10)}`;
  if (!certificate.selfSigned) {
    return tls === "acme"
      ? [["HTTPS", `for ${domain}`, `${until}, renewed by itself`]]
      : [["HTTPS", https.certificate, until]];
  }
  const meanwhile = `until ${new URL(acme.directory).host} has given the certificate for ${domain}`;
  const remark = tls === "acme" ? meanwhile : "browsers warn of it: /certificate on the page tells why";
  // Two lines, as browsers show it.
  const bytes = certificate.fingerprint.split(":");
  return [
    ["HTTPS", "self-signed", remark],
    ["", bytes.slice(0, 16).join(":"), "SHA-256"],
    ["", bytes.slice(16).join(":")],
  ];
}

/** The relay, those elsewhere, and what they still need. */
function relayRows(
  { ice, turn }: Config,
  relay: Greeting["relay"],
): readonly (readonly [text: string, remark?: string])[] {
  const rows: [string, string?][] = [];
  if (relay) {
    const { hosts, port, reach } = relay;
    const from = {
      "this machine": "this machine",
      private: "your network",
      // A NAT may stand within a company.
      public: hosts.every(isPrivate) ? "your network" : "everywhere",
    } as const;
    rows.push([`${hosts.join(", ")} port ${port}`, FROM[from[reach]]]);
    if (reach === "this machine")
      rows.push(["", "for others: turn.host, or domain when a proxy is in front"]);
    else {
      const ports = `UDP and TCP ${port}, UDP ${turn.min_port}-${turn.max_port}`;
      if (reach === "public") rows.push(["", `lets calls through firewalls, if yours is open for ${ports}`]);
      else rows.push(["", `for calls to other networks: forward ${ports}${further(turn)}`]);
    }
  }
  const elsewhere = [...turn.urls, ...ice.urls];
  if (elsewhere.length > 0) rows.push([elsewhere.join(", ")]);
  return rows.length > 0 ? rows : [["none", "only direct calls: see turn.enabled and ice.urls"]];
}

/** Beyond the ports. A router may lead back to itself, and then its address is found. */
const further = ({ public_address_from }: Config["turn"]): string =>
  public_address_from.length > 0 ? "" : " and set turn.public_address";

/** Where an authority comes to, by how it checks. */
const CHECKED_AT: Readonly<Record<string, string>> = { "http-01": "80", "tls-alpn-01": "443" };

function adviceFor({ tls, host, domain, acme }: Config, certificate: Shown | undefined): string {
  if (certificate === undefined) {
    return isLoopbackHost(host)
      ? "For others, listen on every address (--host ::), or put a reverse proxy with HTTPS in front."
      : "Visitors need HTTPS for the camera: put a reverse proxy in front, or leave --tls at auto.";
  }
  if (!certificate.selfSigned) {
    return domain === ""
      ? `Say by which name visitors come, such as --domain ${certificate.names[0] ?? "NAME"}.`
      : "chatrandom doctor, while this runs, checks whether visitors get through.";
  }
  return tls === "acme"
    ? `The certificate comes when port ${CHECKED_AT[acme.challenge] ?? "80 or 443"} of ${domain} leads here; the log tells.`
    : domain === ""
      ? "No more warning: --domain NAME --tls acme, where ports 80 and 443 of the name lead here."
      : `No more warning: --tls acme, where ports 80 and 443 of ${domain} lead here.`;
}

/** For a phone: the page as others than this machine open it, when it is secure. No lines when they would not fit. */
function qrCode(ways: readonly Way[], columns: number): string[] {
  const way = ways.find(({ url, from }) => from !== "this machine" && url.startsWith("https:"));
  if (way === undefined) return [];
  const lines = renderUnicodeCompact(way.url, { border: 2 }).split("\n");
  return lines[0]!.length + INDENT <= columns ? lines : [];
}

const reachOf = (host: string): Way["from"] => (isIP(host) && isPublic(host) ? "everywhere" : "your network");

export interface Place {
  /** The address that the server listens on. */
  host: string;
  port: number;
  /** The name that visitors use; "" for none. */
  domain: string;
  /** Whether the port speaks HTTPS. */
  secure: boolean;
  interfaces: Interfaces;
}

/** How this machine, others of the network and everybody open the page. */
export function waysToOpen({ host, port, domain, secure, interfaces }: Place): Way[] {
  const scheme = secure ? "https" : "http";
  const url = (name: string, scheme: string) =>
    new URL(`${scheme}://${isIP(name) === 6 ? `[${name}]` : name}:${port}`).origin;
  const named: Way[] =
    domain === "" ? [] : [{ url: secure ? url(domain, "https") : `https://${domain}`, from: "everywhere" }];
  // Loopback is secure without HTTPS, and has no name that a certificate could be for.
  if (isLoopbackHost(host)) return [{ url: url("localhost", "http"), from: "this machine" }, ...named];
  if (host !== "::" && host !== "0.0.0.0") return [{ url: url(host, scheme), from: reachOf(host) }, ...named];
  const outward = Object.values(interfaces)
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, address }) => !internal && !/^(fe80:|169\.254\.)/i.test(address));
  const ipv4 = outward.filter(({ family }) => family === "IPv4");
  // A NAT in front of a private address of IPv4 is none in front of a public one of IPv6.
  const more = host === "::" && !ipv4.some(({ address }) => isPublic(address)) ? publicIPv6(interfaces) : [];
  const reachable =
    ipv4.length > 0 || host === "0.0.0.0"
      ? [...ipv4.slice(0, MAX_ADDRESSES), ...more]
      : outward.slice(0, MAX_ADDRESSES);
  return [
    { url: url("localhost", "http"), from: "this machine" },
    ...reachable.map(({ address }): Way => ({ url: url(address, scheme), from: reachOf(address) })),
    ...named,
  ];
}

/** One at most. The oldest of a network is listed last; before it are temporary ones that change daily. */
function publicIPv6(interfaces: Interfaces): NetworkInterfaceInfo[] {
  const found = Object.values(interfaces).flatMap(
    (all = []) => all.findLast(({ family, address }) => family === "IPv6" && isPublic(address)) ?? [],
  );
  return found.slice(0, 1);
}
