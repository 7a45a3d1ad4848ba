/**
 * How many allocations there are: each is a UDP socket of coturn on a relay address at a port of the range. The kernel's
 * tables say so; coturn itself tells only databases.
 */
import { readdir, readFile, readlink } from "node:fs/promises";
import { isIPv4 } from "node:net";
import { endianness } from "node:os";
import { bytesOf } from "./address-bytes.ts";

/** So many at once, for there may be thousands. */
const LINKS_AT_ONCE = 64;

/** 0 also where there is no /proc, and when the process is gone. */
export async function countAllocations(
  pid: number,
  relay: readonly string[],
  minPort: number,
  maxPort: number,
): Promise<number> {
  try {
    const found = new Set<string>();
    for (const address of relay) {
      const table = await readFile(isIPv4(address) ? "/proc/net/udp" : "/proc/net/udp6", "latin1");
      for (const inode of socketsIn(table, address, minPort, maxPort)) found.add(`socket:[${inode}]`);
    }
    if (found.size === 0) return 0;
    const folder = `/proc/${pid}/fd`;
    const descriptors = await readdir(folder);
    let count = 0;
    for (let at = 0; at < descriptors.length; at += LINKS_AT_ONCE) {
      const some = descriptors.slice(at, at + LINKS_AT_ONCE);
      const links = await Promise.all(some.map((name) => readlink(`${folder}/${name}`).catch(() => "")));
      count += links.filter((link) => found.has(link)).length;
    }
    return count;
  } catch {
    return 0;
  }
}

/**
 * The inodes of the sockets at these ports of an address. `table` is what /proc/net/udp holds: a line a socket, its local
 * address second, in words as the machine has them, and its inode tenth.
 */
export function socketsIn(table: string, address: string, minPort: number, maxPort: number): string[] {
  const bytes = bytesOf(address);
  if (endianness() === "LE") bytes.swap32();
  const local = `${bytes.toString("hex").toUpperCase()}:`;
  return table.split("\n").flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    if (!fields[1]?.startsWith(local) || fields[9] === undefined) return [];
    const port = Number.parseInt(fields[1].slice(local.length), 16);
    return minPort <= port && port <= maxPort ? [fields[9]] : [];
  });
}
