/** Runs the built executable as its operator would: in an empty folder, on a free port. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { get } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

const EXECUTABLE =
  process.env.CHATRANDOM_TEST_EXECUTABLE ?? fileURLToPath(new URL("../../dist/chatrandom", import.meta.url));

export interface Appliance {
  readonly port: number;
  readonly url: string;
  readonly dataDir: string;
  readonly pid: number;
  /** The value of a metric without labels, or the sum over its labels. */
  metric(name: string): Promise<number>;
  /** Everything it has logged. */
  log(): string;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
}

export interface ApplianceOptions {
  port?: number;
  turnPort?: number;
  dataDir?: string;
  /** The network namespace that it runs in, and the address by which it is reached there. */
  namespace?: string;
  host?: string;
  args?: string[];
}

/** Resolves once it says that it is ready. */
export async function startAppliance({
  port = 0,
  turnPort = 0,
  dataDir,
  namespace,
  host,
  args = [],
}: ApplianceOptions = {}): Promise<Appliance> {
  const folder = mkdtempSync(join(tmpdir(), "chatrandom-e2e-"));
  const data = dataDir ?? join(folder, "data");
  const ports = ["--port", String(port), "--turn-port", String(turnPort)];
  const serve = ["serve", ...ports, "--data-dir", data, "--log-format", "json", ...args];
  const [program = "", ...rest] = [
    ...(namespace ? ["ip", "netns", "exec", namespace] : []),
    EXECUTABLE,
    ...serve,
  ];
  const child: ChildProcess = spawn(program, rest, {
    cwd: folder,
    // Nobody outside is asked anything.
    env: { PATH: process.env.PATH, HOME: folder, CHATRANDOM_TURN_PUBLIC_ADDRESS_FROM: "" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const lines: string[] = [];
  const ended = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
  const url = await new Promise<string>((resolve, reject) => {
    child.once("error", reject);
    void ended.then((code) =>
      reject(new Error(`it ended with ${code} before it was ready:\n${lines.join("\n")}`)),
    );
    createInterface({ input: child.stderr! }).on("line", (line) => {
      lines.push(line);
      const { msg, url } = JSON.parse(line) as { msg: string; url?: string };
      // From elsewhere it is reached by HTTPS.
      if (msg === "ready" && url) resolve(host ? `https://${host}:${new URL(url).port}/` : url);
    });
  });
  return {
    port: Number(new URL(url).port),
    url,
    dataDir: data,
    pid: child.pid!,
    async metric(name) {
      const all = await textOf(new URL("/metrics", url));
      const values = all
        .split("\n")
        .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
      return values.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
    },
    log: () => lines.join("\n"),
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
      const code = await ended;
      if (dataDir === undefined) rmSync(folder, { recursive: true, force: true });
      return code;
    },
  };
}

/** Its certificate is its own. */
async function textOf(url: URL): Promise<string> {
  if (url.protocol === "http:") return (await fetch(url)).text();
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    get(url, { rejectUnauthorized: false }, resolve).once("error", reject);
  });
  return text(answer);
}
