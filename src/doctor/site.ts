/** The place as a visitor's browser meets it: name, HTTPS, and whether it is ChatRandom that answers. */
import { lookup } from "node:dns/promises";
import type { IncomingMessage } from "node:http";
import { request as requestPlain } from "node:http";
import { request as requestSecurely } from "node:https";
import { isIP } from "node:net";
import type { TLSSocket } from "node:tls";
import { runsOutSoon } from "../tls/certificate.ts";
import { type Finding, fine, spelled, warning, wrong } from "./finding.ts";

/** How its certificate looks from outside. */
export interface SeenCertificate {
  /** Why browsers refuse it, as OpenSSL has it; undefined when they take it. */
  readonly refused?: string;
  /** From when until when it is valid, in ms since the Unix epoch. */
  readonly from: number;
  readonly until: number;
}

export type Visit =
  | {
      /** Where the page is in the end: a server may send a visitor on. */
      readonly origin: string;
      readonly status: number;
      readonly body: string;
      readonly certificate?: SeenCertificate;
      /** What the header Date says, and our clock before and after, in ms since the Unix epoch. */
      readonly date?: { at: number; asked: number; answered: number };
      /** Whose answer it was. */
      readonly address?: string;
    }
  | { readonly origin: string; readonly error: string; readonly code: string };

const ANSWER_MS = 8_000;
const MOST_HOPS = 3;
const MOST_BYTES = 65_536;

export async function visit(url: URL, wallClock: () => number, hops = MOST_HOPS): Promise<Visit> {
  const { origin } = url;
  const asked = wallClock();
  try {
    const { response, body, address } = await get(new URL("/healthz", url));
    const { location, date } = response.headers;
    const status = response.statusCode!;
    const next = location === undefined ? null : URL.parse(location, url);
    if (status >= 300 && status < 400 && next && /^https?:$/.test(next.protocol) && hops > 0)
      return await visit(next, wallClock, hops - 1);
    const at = Date.parse(date ?? "");
    const certificate = seen(response.socket as TLSSocket);
    return {
      origin,
      status,
      body,
      ...(certificate && { certificate }),
      address,
      ...(Number.isNaN(at) ? {} : { date: { at, asked, answered: wallClock() } }),
    };
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException;
    return { origin, error: message, code };
  }
}

function get(url: URL): Promise<{ response: IncomingMessage; body: string; address: string }> {
  const request = url.protocol === "https:" ? requestSecurely : requestPlain;
  return new Promise((resolve, reject) => {
    // Any certificate will do here, so that the checks behind it can go on; it is judged by itself.
    const asked = request(url, { agent: false, rejectUnauthorized: false } as object, (response) => {
      let body = "";
      const address = response.socket.remoteAddress ?? "";
      response.setEncoding("utf8").on("data", (text: string) => {
        body += text;
        if (body.length > MOST_BYTES) asked.destroy(new Error("it answers more than it was asked for"));
      });
      response.once("end", () => resolve({ response, body, address })).once("error", reject);
    });
    const late = setTimeout(() => {
      asked.destroy(Object.assign(new Error("no answer"), { code: "ETIMEDOUT" }));
    }, ANSWER_MS);
    asked.once("close", () => clearTimeout(late)).once("error", reject);
    asked.end();
  });
}

function seen(socket: TLSSocket): SeenCertificate | undefined {
  if (!socket.encrypted) return undefined;
  const { valid_from, valid_to } = socket.getPeerCertificate();
  const error = socket.authorizationError as unknown as string | Error | undefined;
  const refused = error === undefined || error === null ? undefined : codeOf(error);
  return {
    from: Date.parse(valid_from),
    until: Date.parse(valid_to),
    ...(socket.authorized || refused === undefined ? {} : { refused }),
  };
}

const codeOf = (error: string | Error): string =>
  typeof error === "string" ? error : ((error as NodeJS.ErrnoException).code ?? error.message);

const day = (time: number): string => new Date(time).toISOString().slice(0, 10);

/** `now` is in ms since the Unix epoch; `selfSigned` says that this is what the configuration wants. */
export function judgeSite(visited: Visit, now: number, selfSigned: boolean): Finding[] {
  const { origin } = visited;
  if ("error" in visited) return [unreachable(visited)];
  const findings = judgeHttps(visited, now, selfSigned);
  if (visited.status === 200 && isAlive(visited.body))
    return [...findings, fine("page", `${origin} is a ChatRandom`)];
  const gateway = [502, 503, 504].includes(visited.status);
  findings.push(
    wrong(
      "page",
      gateway
        ? `the proxy at ${origin} does not reach ChatRandom (${visited.status})`
        : `something else than ChatRandom answers at ${origin} (${visited.status})`,
      gateway
        ? `let it pass on to where ChatRandom listens: ${spelled("host")}, ${spelled("port")}`
        : "check the name's address and what the proxy passes on; all paths must come here, /healthz and /ws too",
    ),
  );
  return findings;
}

function unreachable({ origin, error, code }: Extract<Visit, { error: string }>): Finding {
  if (code === "ENOTFOUND" || code === "EAI_AGAIN")
    return wrong(
      "page",
      `the name of ${origin} has no address`,
      `add it to the DNS, or change ${spelled("domain")}`,
    );
  if (code === "ECONNREFUSED")
    return wrong(
      "page",
      `nothing listens at ${origin}`,
      `start ChatRandom there, or check ${spelled("port")} and what the router forwards`,
    );
  if (code === "ETIMEDOUT" || code === "EHOSTUNREACH" || code === "ENETUNREACH")
    return wrong(
      "page",
      `${origin} does not answer`,
      "open the port in the firewalls in between, and forward it in the router; some routers do not lead back to " +
        "themselves: try from elsewhere",
    );
  if (code === "EPROTO" || code.startsWith("ERR_SSL"))
    return wrong(
      "page",
      `what listens at ${origin} speaks no HTTPS`,
      `check the port, and ${spelled("tls")}`,
    );
  return wrong("page", `${origin} cannot be opened: ${error}`, "check the name and the port");
}

function judgeHttps(
  { origin, certificate }: Extract<Visit, { status: number }>,
  now: number,
  selfSigned: boolean,
): Finding[] {
  const check = "HTTPS";
  if (!certificate) {
    const host = new URL(origin).hostname;
    if (host === "localhost" || host.startsWith("127.") || host === "[::1]") return [];
    return [
      wrong(
        check,
        `${origin} has none: browsers give no camera to a page without it`,
        `set ${spelled("tls")}, or give the reverse proxy a certificate`,
      ),
    ];
  }
  const { refused, until } = certificate;
  const advice = `renew it where HTTPS ends: in the proxy, or see ${spelled("tls")}`;
  if (now >= until) return [wrong(check, `the certificate of ${origin} ran out on ${day(until)}`, advice)];
  if (refused !== undefined) {
    const own = /SELF_SIGNED/.test(refused);
    if (own && selfSigned)
      return [
        warning(
          check,
          `the certificate of ${origin} is self-signed: browsers warn of it`,
          `get one from an authority: ${spelled("tls")} = "acme" and ${spelled("domain")}`,
        ),
      ];
    return [wrong(check, `browsers refuse the certificate of ${origin}: ${reason(refused)}`, advice)];
  }
  if (runsOutSoon(certificate, now))
    return [warning(check, `the certificate of ${origin} runs out on ${day(until)}`, advice)];
  return [fine(check, `${origin} shows a certificate that is trusted, until ${day(until)}`)];
}

function reason(code: string): string {
  if (/ALTNAME/.test(code)) return "it is for another name";
  if (/SELF_SIGNED/.test(code)) return "it is self-signed";
  if (/UNABLE_TO/.test(code)) return "its chain is not complete, or its authority is unknown";
  if (/NOT_YET_VALID/.test(code)) return "it is not valid yet";
  return code;
}

function isAlive(body: string): boolean {
  try {
    return (JSON.parse(body) as { alive?: unknown }).alive === true;
  } catch {
    return false;
  }
}

/** The addresses of a name; none when it has none. */
export async function addressesOf(host: string): Promise<string[]> {
  if (isIP(host)) return [host];
  const found = await lookup(host, { all: true }).catch(() => []);
  return found.map(({ address }) => address);
}
