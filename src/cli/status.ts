/** `chatrandom status`: the nodes of a cluster or of one appliance, their links and load, and the pool, in numbers. */
import type { CommandModule } from "yargs";
import type { Status } from "../status.ts";
import type { Caller } from "./caller.ts";
import { givenFlags, withOptions } from "./flags.ts";
import { harmless, table } from "./table.ts";
import { WHERE, whereOf } from "./where.ts";

export const status = ({ env, out, err, completing }: Caller): CommandModule => ({
  command: "status",
  describe: "Show the nodes, their links and load, and who waits for what, in numbers",
  builder: (yargs) =>
    withOptions(yargs, completing, WHERE)
      .option("json", { type: "boolean", group: "Options:", description: "Print JSON, for programs" })
      .example("$0 status", "Of chatrandom serve on this machine")
      .example("$0 status --redis redis://10.0.0.1 --json", "Of the cluster that shares this Redis"),
  handler: async (argv) => {
    const where = whereOf(givenFlags(argv, "status", WHERE, ["json"]), env);
    // Loaded here, so that other commands start without its weight.
    const { readStatus } = await import("../status.ts");
    const found = await readStatus(where, (text) => err(`chatrandom: ${text}\n`));
    out(argv.json ? `${harmless(JSON.stringify(found, null, 2))}\n` : shownStatus(found));
  },
});

const OF_THE_DEAD =
  "Where the lease ran out the node is dead or hangs: it is listed until its visitors are back elsewhere, or their grace is over.\n";

/** For people; what strangers wrote does nothing to their terminal. */
export function shownStatus({ nodes, pool, total }: Status): string {
  const sections = [
    table(
      ["node", "machine", "version", "link", "#links", "#online", "#waiting", "#lease"],
      nodes.map(({ id, machine, version, endpoint, links, online, waiting, lease }) => [
        id,
        machine,
        version,
        endpoint,
        links ? `${links.up}/${links.of}` : "",
        String(online),
        String(waiting),
        lease > 0 ? `${(lease / 1_000).toFixed(1)} s` : "ran out",
      ]),
    ),
    table(
      ["mode", "#waiting"],
      [
        ["video", String(pool.video)],
        ["text", String(pool.text)],
      ],
    ),
  ];
  if (pool.interests.length > 0) {
    const rows = pool.interests.map(({ interest, waiting }) => [interest, String(waiting)]);
    sections.push(table(["interest", "#waiting"], rows));
  }
  if (nodes.some(({ lease }) => lease <= 0)) sections.push(OF_THE_DEAD);
  const count = `${total.nodes} ${total.nodes === 1 ? "node" : "nodes"}`;
  sections.push(`${count}, ${total.online} online, ${total.waiting} waiting\n`);
  return sections.join("\n");
}
