/** A worker as the supervisor sees it: a process of this same program, with a channel to it. */
import { spawn } from "node:child_process";
import { isSea } from "node:sea";
import type { FromWorker, ToWorker } from "./messages.ts";

export interface WorkerProcess {
  readonly pid: number | undefined;
  /** Does nothing once the process is gone. */
  send(message: ToWorker): void;
  onMessage(listener: (message: FromWorker) => void): void;
  /** SIGKILL. */
  kill(): void;
  /** Resolves when the process is gone, with how it ended; also when it could not be started. */
  readonly ended: Promise<string>;
}

/** The hidden command that a worker is. */
export const WORKER_COMMAND = "worker";

/** How to start this program anew: the executable is all there is, or Node with the file that it runs. */
const self = (): [file: string, ...args: string[]] =>
  isSea() ? [process.execPath] : [process.execPath, ...process.execArgv, process.argv[1]!];

export function startWorkerProcess(): WorkerProcess {
  const [file, ...args] = self();
  const child = spawn(file, [...args, WORKER_COMMAND], {
    // A process group of its own: Ctrl-C reaches only the supervisor, which tells the workers.
    detached: true,
    // No "ignore": that needs /dev/null, which an empty root directory does not have.
    stdio: ["pipe", "inherit", "inherit", "ipc"],
    // Metrics hold numbers that JSON has no word for.
    serialization: "advanced",
  });
  child.stdin?.end();
  const ended = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => resolve(signal ?? `exit ${code}`));
  });
  // Were the channel to fail, the worker would notice, and end.
  child.on("error", () => {});
  return {
    pid: child.pid,
    send(message) {
      if (child.connected) child.send(message, () => {});
    },
    onMessage: (listener) => void child.on("message", (message) => listener(message as FromWorker)),
    kill() {
      // Without a pid `kill` would signal our own process group.
      if (child.pid && child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    },
    ended,
  };
}
