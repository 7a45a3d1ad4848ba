/** `chatrandom serve`: one node with an embedded Redis. Also what `join` shares with it. */
import { availableParallelism, networkInterfaces } from "node:os";
import { isatty } from "node:tty";
import type { CommandModule } from "yargs";
import type { Running } from "../app.ts";
import { type Loaded, loadConfig, type Sources } from "../config/load.ts";
import { keys } from "../config/options.ts";
import { Failure } from "../failure.ts";
import { type Logger, openLog } from "../log.ts";
import { withoutPassword } from "../redis/address.ts";
import type { Caller } from "./caller.ts";
import { valueAt } from "./config.ts";
import { type Found, givenFlags, withOptions } from "./flags.ts";
import { greeting, waysToOpen } from "./greeting.ts";
import { untilStopped } from "./until-stopped.ts";

/** What a supervisor grants beyond the drain for closing sockets and ending the embedded programs. */
const STOP_MARGIN_MS = 5_000;

export const serve = (caller: Caller, ended: (code: 0 | 1) => void): CommandModule => ({
  command: "serve",
  describe: "Serve the page and match visitors; everything it needs is inside",
  builder: (yargs) =>
    withOptions(yargs, caller.completing)
      .example("$0 serve", "Serve on port 8080")
      .example("$0 serve --port 9000 --data-dir /srv/chat", "Elsewhere")
      .example("CHATRANDOM_PORT=9000 $0 serve", "The same by a variable")
      .example("$0 serve --config /etc/chatrandom.toml", "With a config file"),
  handler: serving("serve", caller, ended),
});

/** Serves until it is told to stop. `ended` is told the exit code of a server that served. */
export const serving =
  (kind: "serve" | "join", { env, out }: Caller, ended: (code: 0 | 1) => void) =>
  async (argv: Found): Promise<void> => {
    const sources: Sources = { flags: givenFlags(argv, kind), env, files: true };
    const loaded = loadConfig(sources);
    const { config, file } = loaded;
    const log = await openLog(config);
    for (const warning of oddities(kind, loaded)) log.warn(warning);

    const code = await untilStopped({
      // Loaded here, so that other commands start without the server's weight.
      start: async (stopping) => {
        const workers = config.workers === "auto" ? availableParallelism() : config.workers;
        if (workers === 1) return (await import("../app.ts")).run(kind, config, log, stopping);
        return (await import("../appliance.ts")).runWorkers(kind, config, log, stopping, workers);
      },
      ready: ({ host, port, certificate, relay }: Running) => {
        const secure = certificate !== undefined;
        const place = { host, port, domain: config.domain, secure, interfaces: networkInterfaces() };
        const ways = waysToOpen(place);
        // Only of one that no authority stands behind does somebody have to compare it.
        const fingerprint = certificate?.selfSigned ? certificate.fingerprint : undefined;
        log.info({ url: ways[0]!.url, fingerprint, config: file }, "ready");
        if (!process.stdout.isTTY) return;
        const colors = process.stdout.hasColors() && !env.NO_COLOR;
        const redis = kind === "join" ? withoutPassword(config.redis) : undefined;
        // A terminal of a container may not know yet.
        const columns = process.stdout.columns || 80;
        out(greeting({ config, ways, certificate, relay, redis, file, colors, columns }));
      },
      hangUp: [0, 1, 2].some((fd) => isatty(fd)) ? undefined : () => compareAgain(loaded, sources, log),
      stopTimeout: config.drain_timeout + STOP_MARGIN_MS,
      log,
      process,
      exit: (code) => process.exit(code),
    });
    ended(code);
  };

/** What is odd but harmless, one line each. */
export function oddities(kind: "serve" | "join", { config, origins, warnings }: Loaded): readonly string[] {
  if (kind === "join" || config.redis === "") return warnings;
  const alone =
    "redis is for chatrandom join; serve uses the Redis inside, and shares its visitors with nobody";
  return [...warnings, `${origins.redis}: ${alone}`];
}

/** SIGHUP asks to read the configuration again. No option changes while serving, so it says which would. */
export function compareAgain(before: Loaded, sources: Sources, log: Logger): void {
  try {
    const after = loadConfig(sources);
    const same = (key: (typeof keys)[number]) =>
      JSON.stringify(valueAt(before.config, key)) === JSON.stringify(valueAt(after.config, key));
    const changed = keys.filter((key) => !same(key));
    if (changed.length === 0) log.info("SIGHUP: the configuration has not changed");
    else log.warn({ changed }, `SIGHUP: a restart is needed for ${changed.join(", ")}`);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    for (const line of error.message.split("\n")) log.error(`SIGHUP: ${line.trim()}`);
  }
}
