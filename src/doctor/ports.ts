/** Whether the ports can be had, or are ours already. */
import { createSocket } from "node:dgram";
import { request } from "node:http";
import { request as requestSecurely } from "node:https";
import { createServer } from "node:net";
import type { Config, Key } from "../config/options.ts";
import { listenHost } from "../relay/addresses.ts";
import { type Finding, fine, spelled, wrong } from "./finding.ts";

export interface WantedPort {
  readonly option: Key;
  readonly host: string;
  /** Where `host` comes from. */
  readonly hostOption: Key;
  readonly port: number;
  readonly protocol: "tcp" | "udp";
  readonly what: string;
}

/** Those that a server of this configuration listens on; the first one is that of the page. */
export function wantedPorts(config: Config, kind: "serve" | "join"): WantedPort[] {
  const { host, port, tls, acme, link, turn } = config;
  const wanted: WantedPort[] = [
    { option: "port", host, hostOption: "host", port, protocol: "tcp", what: "page" },
  ];
  // Where it is the port of the page, that one answers.
  if (tls === "acme" && acme.challenge !== "tls-alpn-01" && acme.http_port !== port)
    wanted.push({
      option: "acme.http_port",
      host,
      hostOption: "host",
      port: acme.http_port,
      protocol: "tcp",
      what: "checks of the domain",
    });
  if (kind === "join")
    wanted.push({
      option: "link.port",
      host: link.bind,
      hostOption: "link.bind",
      port: link.port,
      protocol: "tcp",
      what: "other nodes",
    });
  if (turn.enabled && turn.urls.length === 0)
    for (const protocol of ["tcp", "udp"] as const)
      wanted.push({
        option: "turn.port",
        host: listenHost(config),
        hostOption: turn.host === "" ? "host" : "turn.host",
        port: turn.port,
        protocol,
        what: "relay",
      });
  return wanted;
}

export type PortState =
  | { readonly is: "free" }
  | { readonly is: "in use" }
  | { readonly is: "refused"; readonly code: string };

/** Takes the port for a moment, which is how one knows. */
export function tryPort({ host, port, protocol }: WantedPort): Promise<PortState> {
  return new Promise((resolve) => {
    const failed = ({ code = "" }: NodeJS.ErrnoException): void =>
      resolve(code === "EADDRINUSE" ? { is: "in use" } : { is: "refused", code });
    const free = (): void => resolve({ is: "free" });
    if (protocol === "udp") {
      const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
      socket.once("error", (error) => {
        socket.close();
        failed(error);
      });
      socket.bind({ address: host, port, exclusive: true }, () => socket.close(free));
      return;
    }
    const attempt = (address: string): void => {
      const server = createServer((socket) => socket.destroy());
      server.once("error", (error: NodeJS.ErrnoException) => {
        // A machine without IPv6 has every address at 0.0.0.0; the server knows that too.
        if (address === "::" && ["EAFNOSUPPORT", "EADDRNOTAVAIL"].includes(error.code!)) attempt("0.0.0.0");
        else failed(error);
      });
      server.listen({ host: address, port, exclusive: true }, () => server.close(free));
    };
    attempt(host);
  });
}

const ANSWER_MS = 3_000;

/** Whether a ChatRandom answers there. */
export async function isChatRandom({ host, port }: Pick<WantedPort, "host" | "port">): Promise<boolean> {
  const here = host === "::" || host === "0.0.0.0" ? "127.0.0.1" : host;
  return (await looksRight(request, here, port)) || looksRight(requestSecurely, here, port);
}

function looksRight(ask: typeof request, host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = ask(
      // Whose certificate it is does not matter: nothing is told.
      { host, port, path: "/readyz", agent: false, timeout: ANSWER_MS, rejectUnauthorized: false } as object,
      (response) => {
        let body = "";
        response.setEncoding("utf8").on("data", (text: string) => {
          body += text;
          if (body.length > 65_536) response.destroy();
        });
        response.once("close", () => resolve(isReadiness(body)));
      },
    );
    asked.once("error", () => resolve(false)).once("timeout", () => asked.destroy());
    asked.end();
  });
}

function isReadiness(body: string): boolean {
  try {
    const { ready, reasons } = JSON.parse(body) as Record<string, unknown>;
    return typeof ready === "boolean" && Array.isArray(reasons);
  } catch {
    return false;
  }
}

/** `running`: a ChatRandom answers at the port of the page. */
export function judgePort(wanted: WantedPort, state: PortState, running: boolean): Finding {
  const { option, host, port, protocol, what } = wanted;
  const check = `port ${port} ${protocol}`;
  if (port === 0) return fine("port", `any free one will be taken for the ${what}`);
  switch (state.is) {
    case "free":
      return fine(check, `free, for the ${what}`);
    case "in use":
      if (running)
        return fine(
          check,
          option === "port"
            ? "ChatRandom runs here"
            : `in use for the ${what}, by the ChatRandom that runs here as it seems`,
        );
      return wrong(
        check,
        "something else uses it",
        `stop what uses it (ss -${protocol === "tcp" ? "t" : "u"}lpn shows it), or change ${spelled(option)}`,
      );
    default:
      return refused(wanted, check, state.code, host);
  }
}

function refused(
  { option, hostOption, port }: WantedPort,
  check: string,
  code: string,
  host: string,
): Finding {
  if (code === "EACCES")
    return wrong(
      check,
      `this user may not listen on port ${port}`,
      `choose one above 1023 with ${spelled(option)}, or give the right: AmbientCapabilities=CAP_NET_BIND_SERVICE in ` +
        "the unit of systemd",
    );
  return wrong(check, `${host} is no address of this machine (${code})`, `change ${spelled(hostOption)}`);
}
