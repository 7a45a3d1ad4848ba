/** `chatrandom worker`: what the supervisor of `--workers` starts. Not for people, so no help tells of it. */
import type { CommandModule } from "yargs";
import { Failure } from "../failure.ts";
import { openLog } from "../log.ts";
import { WORKER_COMMAND } from "../workers/process.ts";
import { type Channel, Supervised } from "../workers/worker.ts";
import { type Found, refuseFlags } from "./flags.ts";
import { untilStopped } from "./until-stopped.ts";
import { WrongUse } from "./wrong-use.ts";

/** Beyond the drain: a visitor who does not answer takes two seconds. The supervisor waits a little longer. */
const STOP_MARGIN_MS = 3_000;

/** `ended` is told the exit code. */
export const worker = (ended: (code: 0 | 1 | 2) => void): CommandModule => ({
  command: WORKER_COMMAND,
  describe: false,
  handler: async (argv) => {
    refuseFlags(argv as Found, WORKER_COMMAND);
    if (!process.send)
      throw new WrongUse("worker is what chatrandom starts for itself: see --workers of serve");
    ended(await work());
  },
});

async function work(): Promise<0 | 1 | 2> {
  const exit = (code: number): void => process.exit(code);
  const supervised = new Supervised(process as Channel, exit);
  const { kind, config, share } = await supervised.orders;
  const log = (await openLog(config)).child({ worker: share.worker });
  try {
    return await untilStopped({
      start: async (stopping) => {
        const { run } = await import("../app.ts");
        return run(kind, config, log, stopping, {
          share,
          relay: () => supervised.relay ?? share.relay,
          scrape: () => supervised.scrape(),
        });
      },
      ready: ({ host, certificate, metrics }) => {
        supervised.metrics = metrics;
        supervised.up({ host, certificate });
      },
      hangUp: () => {},
      stopTimeout: config.drain_timeout + STOP_MARGIN_MS,
      log,
      process: supervised.signals,
      exit,
    });
  } catch (error) {
    if (!(error instanceof Failure)) log.fatal({ err: error }, "cannot start, because of a fault");
    const { message, exitCode } = error instanceof Failure ? error : new Failure(String(error));
    await supervised.refuse({ message, exitCode });
    return exitCode;
  }
}
