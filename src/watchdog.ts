/**
 * Ends this process when its event loop turns no more, so that whoever started it, systemd or a container's runtime,
 * starts it again: a node that hangs keeps its connections and the port, and serves nobody.
 *
 * Nothing within a loop that hangs can tell, so a thread of its own looks. It counts its own turns and asks no clock: a
 * process that was stopped, or whose machine was, has not hung.
 */
import { Worker } from "node:worker_threads";

export interface WatchdogParts {
  /** How often the loop shows that it turns, and the thread looks, in ms. */
  readonly beat: number;
  /** So many looks in a row that find nothing new, and it hangs. */
  readonly patience: number;
  /** How it logs that. */
  readonly forPeople: boolean;
}

/** Text, for in one executable there is no file that a thread could begin with. */
const THREAD = `
const { write } = require("node:fs");
const { beats, beat, patience, forPeople } = require("node:worker_threads").workerData;
const msg = "this process hangs; it ends, so that whoever started it can start it again";
let last = -1;
let missed = 0;
const end = () => process.kill(process.pid, "SIGKILL");
const looks = setInterval(() => {
  const now = Atomics.load(beats, 0);
  missed = now === last ? missed + 1 : 0;
  last = now;
  if (missed < patience) return;
  const line = { level: "fatal", time: new Date().toISOString(), msg };
  clearInterval(looks);
  // Nobody may read it.
  setTimeout(end, 1_000);
  write(2, (forPeople ? "FATAL: " + msg : JSON.stringify(line)) + "\\n", end);
}, beat);
`;

/** The returned function calls it off. Where there can be no thread, there is no watchdog. */
export function watchLoop({ beat, patience, forPeople }: WatchdogParts): () => void {
  const beats = new Int32Array(new SharedArrayBuffer(4));
  const timer = setInterval(() => Atomics.add(beats, 0, 1), beat).unref();
  const thread = new Worker(THREAD, {
    eval: true,
    name: "watchdog",
    workerData: { beats, beat, patience, forPeople },
    env: {},
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 1 },
  });
  thread.on("error", () => {});
  thread.unref();
  return () => {
    clearInterval(timer);
    void thread.terminate();
  };
}
