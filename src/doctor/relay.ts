/** The STUN and TURN servers that visitors are given. */
import { adviceOn } from "../relay/regular-test.ts";
import type { Tried } from "../relay/self-test.ts";
import { type Finding, fine, spelled, warning, wrong } from "./finding.ts";

const CHECK = "relay";

export function judgeRelay(tried: readonly Tried[]): Finding[] {
  const relays = tried.filter(({ kind }) => kind === "turn");
  if (relays.length === 0)
    return [
      ...tried.map(judgeServer),
      warning(
        CHECK,
        "there is none: about one pair in five does not get a call",
        `let the embedded one run (${spelled("turn.enabled")}), or name a TURN server with ${spelled("turn.urls")} or ${spelled("ice.urls")}`,
      ),
    ];
  const findings = tried.map(judgeServer);
  const works = relays.filter(({ outcome }) => outcome !== "fails");
  if (works.length > 0 && works.every(({ transport }) => transport === "udp"))
    findings.push(
      warning(
        CHECK,
        "it can be reached by UDP only: some networks let no UDP through",
        `add the same server with ?transport=tcp, or better turns: on port 443, to ${spelled("turn.urls")} or ${spelled("ice.urls")}`,
      ),
    );
  return findings;
}

function judgeServer({ url, outcome, ms, problem = "", reason, kind }: Tried): Finding {
  const done = kind === "turn" ? "allocates and relays" : "answers";
  if (outcome === "works") return fine(CHECK, `${url} ${done}, in ${Math.round(ms)} ms`);
  const judge = outcome === "limited" ? warning : wrong;
  return judge(CHECK, `${url}: ${problem}`, adviceOn(reason) ?? "look at the log of the server");
}
