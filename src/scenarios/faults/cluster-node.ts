import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const EXECUTABLE = fileURLToPath(new URL("../../../dist/chatrandom", import.meta.url));

/** As many searches as it takes: one machine does here what thousands do elsewhere. */
const UNLIMITED = ["find", "signal", "other"].flatMap((what) => [
  `--limits-${what}-burst=1000000`,
  `--limits-${what}-per-second=1000000`,
]);

export interface NodeOptions {
  args?: readonly string[];
  env?: Record<string, string>;
}

interface Line {
  level: string;
  time: string;
  msg: string;
  url?: string;
}

/** One node of a cluster, `dist/chatrandom join`, on free ports of this machine. */
export class ClusterNode {
  readonly lines: Line[] = [];
  readonly child: ChildProcess;
  readonly #ended: Promise<[code: number | null, signal: string | null]>;

  constructor(redis: string, secret: string, folder: string, { args = [], env = {} }: NodeOptions) {
    this.child = spawn(
      EXECUTABLE,
      [
        "join",
        `--redis=${redis}`,
        "--port=0",
        "--turn-port=0",
        "--host=127.0.0.1",
        "--link-bind=127.0.0.1",
        "--link-port=0",
        `--data-dir=${folder}`,
        "--log-format=json",
        ...UNLIMITED,
        ...args,
      ],
      {
        env: { PATH: process.env.PATH!, HOME: folder, CHATRANDOM_LINK_SECRET: secret, ...env },
        stdio: ["ignore", "ignore", "pipe"],
      },
    );
    this.#ended = once(this.child, "exit") as Promise<[number | null, string | null]>;
    createInterface({ input: this.child.stderr! }).on("line", (line) => {
      this.lines.push(JSON.parse(line) as Line);
    });
  }

  /** Empty until it listens. */
  get url(): string {
    return this.lines.find(({ msg }) => msg === "ready")?.url?.replace(/\/$/, "") ?? "";
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** Why it cannot serve; empty when it can. */
  async reasons(): Promise<string[]> {
    if (this.url === "") return ["it does not listen yet"];
    const answer = await fetch(`${this.url}/readyz`);
    return ((await answer.json()) as { reasons: string[] }).reasons;
  }

  async isReady(): Promise<boolean> {
    if (this.hasEnded) throw new Error(`a node has ended:\n${this.lines.map(({ msg }) => msg).join("\n")}`);
    return (await this.reasons().catch(() => [""])).length === 0;
  }

  /** The value of a metric, over all its labels. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    const values = text
      .split("\n")
      .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
    return values.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Resolves once the process is gone, with its exit code. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    if (!this.hasEnded) this.child.kill(signal);
    return (await this.#ended)[0];
  }
}
