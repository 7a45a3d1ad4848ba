/** Every visitor takes a file descriptor, and the system sets a limit. */
import type { Config } from "../config/options.ts";
import { type Finding, fine, skipped, spelled, warning, wrong } from "./finding.ts";

/** What a node has open beside its visitors. */
const OTHERS = 100;
/** With fewer it hardly starts. */
const LEAST = 256;

/** @param limits the text of `/proc/<pid>/limits`; undefined where there is none */
export function judgeFileDescriptors(
  limits: string | undefined,
  { session, turn }: Pick<Config, "session" | "turn">,
  running: boolean,
): Finding {
  const check = "file descriptors";
  const [, soft, hard] = /^Max open files\s+(\d+|unlimited)\s+(\d+|unlimited)/m.exec(limits ?? "") ?? [];
  if (soft === undefined || hard === undefined) return skipped(check, "this system does not tell its limit");
  // A server that starts takes all that it may have.
  const told = running ? soft : hard;
  const limit = told === "unlimited" ? Number.POSITIVE_INFINITY : Number(told);
  const whose = running ? "of the ChatRandom that runs here" : "for a ChatRandom that is started like this";
  const text = `${told}, ${whose}`;
  const relays = turn.enabled && turn.urls.length === 0 ? 2 * turn.max_allocations : 0;
  const admits = limit >= session.max + OTHERS;
  if (admits && limit >= relays + OTHERS) return fine(check, text);
  const advice =
    "set LimitNOFILE=65536 in the unit of systemd, or ulimit -n 65536 before the start, " +
    `or admit fewer: ${spelled(admits ? "turn.max_allocations" : "session.max")}`;
  if (limit < LEAST) return wrong(check, `${text}: too few to serve`, advice);
  if (admits)
    return warning(check, `${text}: the relay takes two for each of ${turn.max_allocations} ports`, advice);
  const enough = Math.max(0, limit - OTHERS);
  return warning(check, `${text}: enough for ${enough} of the ${session.max} visitors admitted`, advice);
}
