/** What `serve` says on a terminal once it serves: how to open the page, what is on, what to do next. */
import type { NetworkInterfaceInfo } from "node:os";
import { isIP } from "node:net";
import type { Config } from "../config/options.ts";
import { VERSION } from "../version.ts";

export type Interfaces = NodeJS.Dict<NetworkInterfaceInfo[]>;

export interface Greeting {
  config: Config;
  /** How to open the page: this machine's way first, then those of the network. */
  urls: readonly string[];
  /** The config file in force. */
  file?: string;
  colors: boolean;
}

/** More addresses than this are those of containers and virtual machines. */
const MAX_ADDRESSES = 4;

export function greeting({ config, urls, file, colors }: Greeting): string {
  const style = (code: number, text: string): string => (colors ? `\u001b[${code}m${text}\u001b[0m` : text);
  const bold = (text: string): string => style(1, text);
  const dim = (text: string): string => style(2, text);

  const row = (label: string, text: string, remark = ""): string =>
    `  ${dim(label)}${" ".repeat(12 - label.length)}${text}${remark && `  ${dim(remark)}`}`;

  const { ice, page, data_dir } = config;
  const [here = "", ...network] = urls;
  const open = [
    row("Open", bold(here), "on this machine"),
    ...network.map((url) => row("", bold(url), "in your network, without camera: that needs HTTPS")),
  ];
  const on = [
    row("Redis", "embedded", data_dir),
    ice.urls.length === 0
      ? row("STUN, TURN", "none", "only direct calls: see ice.urls")
      : row("STUN, TURN", ice.urls.join(", ")),
    row("Options", file ?? "defaults", "chatrandom config show tells all"),
  ];
  const next = [
    row(
      "Next",
      "For visitors from elsewhere put a reverse proxy with HTTPS in front; the README has examples.",
    ),
    row("", "Ctrl-C stops."),
  ];
  const product = `ChatRandom ${VERSION}`;
  const title = bold(page.name === "ChatRandom" ? product : `${page.name}, by ${product}`);
  return `\n  ${title}\n\n${[open, on, next].map((rows) => rows.join("\n")).join("\n\n")}\n\n`;
}

/** How this machine and then others of the network open the page, when the server listens on `host`. */
export function waysToOpen(host: string, port: number, interfaces: Interfaces): string[] {
  const url = (name: string) => new URL(`http://${isIP(name) === 6 ? `[${name}]` : name}:${port}`).origin;
  if (isLoopback(host)) return [url("localhost")];
  if (host !== "::" && host !== "0.0.0.0") return [url(host)];
  const outward = Object.values(interfaces)
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, address }) => !internal && !/^(fe80:|169\.254\.)/i.test(address));
  const ipv4 = outward.filter(({ family }) => family === "IPv4");
  const shown = ipv4.length > 0 || host === "0.0.0.0" ? ipv4 : outward;
  return [url("localhost"), ...shown.slice(0, MAX_ADDRESSES).map(({ address }) => url(address))];
}

const isLoopback = (host: string): boolean => host === "localhost" || host === "::1" || host === "127.0.0.1";
