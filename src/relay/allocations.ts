/**
 * How many allocations there are, as the kernel's table of UDP sockets tells: each is one on a relay address at a port
 * of the range. coturn itself tells only databases.
 */
import { readFile } from "node:fs/promises";
import { isIPv4 } from "node:net";
import { endianness } from "node:os";
import { bytesOf } from "./forward.ts";

/** Undefined where there is no /proc. */
export async function countAllocations(
  relay: readonly string[],
  minPort: number,
  maxPort: number,
): Promise<number | undefined> {
  try {
    const counts = await Promise.all(
      relay.map(async (address) => {
        const table = await readFile(isIPv4(address) ? "/proc/net/udp" : "/proc/net/udp6", "latin1");
        return countIn(table, address, minPort, maxPort);
      }),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  } catch {
    return undefined;
  }
}

/** `table` is what /proc/net/udp holds: a line a socket, its local address second, in words as the machine has them. */
export function countIn(table: string, address: string, minPort: number, maxPort: number): number {
  const bytes = bytesOf(address);
  if (endianness() === "LE") bytes.swap32();
  const local = `: ${bytes.toString("hex").toUpperCase()}:`;
  let count = 0;
  for (let at = table.indexOf(local); at !== -1; at = table.indexOf(local, at + 1)) {
    const port = Number.parseInt(table.slice(at + local.length, at + local.length + 4), 16);
    if (minPort <= port && port <= maxPort) count += 1;
  }
  return count;
}
