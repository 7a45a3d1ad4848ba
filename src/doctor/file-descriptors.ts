import type { Config } from "../config/options.ts";
import { connectionsIn, openFiles, RAISE_OPEN_FILES, visitorsIn } from "../open-files.ts";
import { type Finding, fine, skipped, spelled, warning, wrong } from "./finding.ts";

/** With fewer it hardly starts. */
const LEAST = 256;

/** @param limits the text of `/proc/<pid>/limits`; undefined where there is none */
export function judgeFileDescriptors(
  limits: string | undefined,
  { session, turn }: Pick<Config, "session" | "turn">,
  running: boolean,
): Finding {
  const check = "file descriptors";
  const told = openFiles(limits);
  if (told === undefined) return skipped(check, "this system does not tell its limit");
  // A server that starts takes all that it may have.
  const limit = running ? told.soft : told.hard;
  const whose = running ? "of the ChatRandom that runs here" : "for a ChatRandom that is started like this";
  const text = `${Number.isFinite(limit) ? limit : "unlimited"}, ${whose}`;
  const relays = turn.enabled && turn.urls.length === 0 ? 2 * turn.max_allocations : 0;
  const visitors = visitorsIn(limit);
  const admits = visitors >= session.max;
  if (admits && connectionsIn(limit) >= relays) return fine(check, text);
  const advice = `${RAISE_OPEN_FILES}, or admit fewer: ${spelled(admits ? "turn.max_allocations" : "session.max")}`;
  if (limit < LEAST) return wrong(check, `${text}: too few to serve`, advice);
  if (admits)
    return warning(check, `${text}: the relay takes two for each of ${turn.max_allocations} ports`, advice);
  return warning(check, `${text}: enough for ${visitors} of the ${session.max} visitors admitted`, advice);
}
