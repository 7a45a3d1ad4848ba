/** `chatrandom reports`: what visitors have reported, newest first. Nobody in it has a name or an address. */
import type { CommandModule } from "yargs";
import type { StoredReport } from "../node/contracts.ts";
import type { Caller } from "./caller.ts";
import { givenFlags, withOptions } from "./flags.ts";
import { harmless, table } from "./table.ts";
import { WHERE, whereOf } from "./where.ts";
import { WrongUse } from "./wrong-use.ts";

const MOST = 50;
/** Of a device's hash: enough to see that it is the same one. */
const SHOWN_CHARACTERS = 8;

export const reports = ({ env, out, err, completing }: Caller): CommandModule => ({
  command: "reports",
  describe: "Show what visitors have reported, newest first",
  builder: (yargs) =>
    withOptions(yargs, completing, WHERE)
      .option("most", {
        type: "string",
        requiresArg: true,
        group: "Options:",
        description: `So many at the most [default: ${MOST}]`,
      })
      .option("json", { type: "boolean", group: "Options:", description: "Print JSON, for programs" })
      .example("$0 reports", "Of chatrandom serve on this machine")
      .example("$0 reports --redis redis://10.0.0.1 --json", "Of a cluster, for programs"),
  handler: async (argv) => {
    const where = whereOf(givenFlags(argv, "reports", WHERE, ["most", "json"]), env);
    const most = Number(argv.most ?? MOST);
    if (!Number.isSafeInteger(most) || most < 1)
      throw new WrongUse("--most wants a whole number of at least 1");
    // Loaded here, so that other commands start without its weight.
    const { readReports } = await import("../reports.ts");
    const found = await readReports(where, most, (text) => err(`chatrandom: ${text}\n`));
    out(argv.json ? `${harmless(JSON.stringify(found, null, 2))}\n` : shownReports(found));
  },
});

/** For people; what strangers wrote does nothing to their terminal. */
export function shownReports(found: readonly StoredReport[]): string {
  if (found.length === 0) return "nobody has reported anything\n";
  const times = new Map<string, number>();
  for (const { reportedDevice } of found) times.set(reportedDevice, (times.get(reportedDevice) ?? 0) + 1);
  return table(
    ["when", "reason", "reported", "#times", "by", "details"],
    found.map(({ at, reason, reportedDevice, reporterDevice, details = "" }) => [
      `${new Date(at).toISOString().slice(0, 16).replace("T", " ")}Z`,
      reason,
      reportedDevice.slice(0, SHOWN_CHARACTERS),
      String(times.get(reportedDevice)),
      reporterDevice.slice(0, SHOWN_CHARACTERS),
      details,
    ]),
  );
}
