import type { Config } from "../config/options.ts";
import { bytes, type Finding, fine, spelled, warning, wrong } from "./finding.ts";

/** As the system tells it, with the limit of a container taken into account. In bytes. */
export interface Memory {
  readonly total: number;
  readonly available: number;
}

const MB = 1024 ** 2;
/** A node without visitors, and a little room. */
const NODE = 100 * MB;
const LEAST = 64 * MB;

/** `nodes`: how many would be started; 0 when they run already. */
export function judgeMemory(
  { total, available }: Memory,
  { embedded }: Pick<Config, "embedded">,
  nodes: number,
  kind: "serve" | "join",
): Finding {
  const check = "memory";
  const text = `${bytes(available)} of ${bytes(total)} available`;
  if (available < Math.max(LEAST, nodes * NODE)) {
    const judge = available < LEAST ? wrong : warning;
    return judge(
      check,
      `${text}: too little`,
      nodes > 1
        ? `start fewer with ${spelled("workers")}, or give the machine more memory`
        : "end other programs, or give the machine more memory",
    );
  }
  if (kind === "serve" && embedded.max_memory > total)
    return warning(
      check,
      `${text}, but the embedded Redis may take ${bytes(embedded.max_memory)}`,
      `lower ${spelled("embedded.max_memory")}: the system would end it before it reaches that`,
    );
  return fine(check, text);
}
