/** A STUN and TURN server for tests: the coturn that `npm run build` made, on a free port of loopback. */
import { createHmac, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { realClock } from "../clock.ts";
import { startProgram } from "../embedded/program.ts";
import { freePort } from "../test-ports.ts";
import { coturnBinary } from "./test-relay.ts";
import { openTurnClient, type Credentials } from "./turn-client.ts";

export interface TestTurn {
  readonly port: number;
  /** Its `static-auth-secret`. */
  readonly secret: string;
  /** Credentials as the server's secret makes them, valid for `seconds`. */
  credentials(name?: string, seconds?: number): Credentials;
  stop(): Promise<void>;
}

const LOG = { debug() {}, info() {}, warn() {}, error() {} };

/** It runs on loopback, so that this has to be allowed. */
export const TO_ITSELF = ["allow-loopback-peers", "allowed-peer-ip=127.0.0.1"];

/** Starts a server; `lines` are further ones for its config file. It also ends when this process is killed. */
export async function startTestTurn(lines: readonly string[] = TO_ITSELF): Promise<TestTurn> {
  const port = await freePort();
  const secret = randomBytes(16).toString("hex");
  const directory = mkdtempSync(join(tmpdir(), "chatrandom-turn-"));
  const file = join(directory, "turnserver.conf");
  const settings = [
    `listening-port=${port}`,
    "listening-ip=127.0.0.1",
    "relay-ip=127.0.0.1",
    "realm=chatrandom.test",
    "use-auth-secret",
    `static-auth-secret=${secret}`,
    "no-cli",
    "log-file=stdout",
    `pidfile=${join(directory, "pid")}`,
    ...lines,
  ];
  // It takes allow-loopback-peers only with a password for its command line, which is off.
  writeFileSync(file, `${[...settings, "cli-password=unused"].join("\n")}\n`, { mode: 0o600 });
  const place = { kind: "turn", host: "127.0.0.1", port, transport: "udp" } as const;
  const answers = async (): Promise<boolean> => {
    try {
      const client = await openTurnClient(place, { clock: realClock, timeout: 500 });
      try {
        await client.bind();
        return true;
      } finally {
        client.close();
      }
    } catch {
      return false;
    }
  };
  const program = await startProgram({
    name: "coturn",
    command: async () => ({ file: coturnBinary(), args: ["-c", file] }),
    answers,
    log: LOG,
  });
  return {
    port,
    secret,
    credentials(name = "somebody", seconds = 600) {
      const username = `${Math.floor(Date.now() / 1000) + seconds}:${name}`;
      return { username, credential: createHmac("sha1", secret).update(username).digest("base64") };
    },
    async stop() {
      await program.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
