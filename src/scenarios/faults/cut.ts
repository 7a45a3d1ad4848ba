/** The network between the links of several nodes, which can be cut between two of them. */
import { once } from "node:events";
import { readFileSync, readdirSync, readlinkSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { Server, Socket } from "node:net";

interface Way {
  /** The process that dialled, and the one that it reached. */
  between: [from: number, to: number];
  ends: [Socket, Socket];
}

/**
 * A way to each node's publisher at an address of its own (127.0.0.x, where the node says that others find it), which
 * leads to where the node really listens: the same port of 127.0.0.1. While two nodes are cut off, nothing passes
 * between them and nobody is told, as when a network breaks; what was on its way arrives once it is whole again.
 */
export class Wires {
  readonly #servers: Server[] = [];
  readonly #ways = new Set<Way>();
  #cut: ReadonlySet<number> = new Set();

  /** The address that a node is to say, for `--link-host`. */
  static hostOf(node: number): string {
    return `127.0.0.${11 + node}`;
  }

  /** Leads to that node, which listens on `port`. `pids` are the processes of all nodes. */
  async leadTo(node: number, port: number, pids: readonly number[]): Promise<void> {
    const pid = pids[node]!;
    const server = createServer((near) => {
      const from = pids.find((other) => owns(other, near.remotePort!)) ?? 0;
      const far = connect(port, "127.0.0.1");
      const way: Way = { between: [from, pid], ends: [near, far] };
      this.#ways.add(way);
      for (const [end, other] of [
        [near, far],
        [far, near],
      ] as const) {
        end.setNoDelay(true);
        end.pipe(other);
        end.on("error", () => {});
        end.on("close", () => {
          this.#ways.delete(way);
          other.destroy();
        });
      }
      this.#hold(way);
    });
    server.listen(port, Wires.hostOf(node));
    await once(server, "listening");
    this.#servers.push(server);
  }

  cut(one: number, other: number): void {
    this.#cut = new Set([one, other]);
    for (const way of this.#ways) this.#hold(way);
  }

  heal(): void {
    this.#cut = new Set();
    for (const { ends } of this.#ways) for (const end of ends) end.resume();
  }

  close(): void {
    for (const server of this.#servers) server.close();
    for (const { ends } of this.#ways) for (const end of ends) end.destroy();
  }

  #hold({ between, ends }: Way): void {
    if (between.every((pid) => this.#cut.has(pid))) for (const end of ends) end.pause();
  }
}

/** Whether the process has the socket of that local port. The kernel's tables say so, and nobody else. */
function owns(pid: number, port: number): boolean {
  const inodes = ["tcp", "tcp6"].flatMap((table) =>
    readFileSync(`/proc/net/${table}`, "utf8")
      .split("\n")
      .slice(1, -1)
      .map((line) => line.trim().split(/\s+/))
      .filter(([, local]) => Number.parseInt(local!.slice(local!.lastIndexOf(":") + 1), 16) === port)
      .map((words) => `socket:[${words[9]}]`),
  );
  return readdirSync(`/proc/${pid}/fd`).some((fd) => inodes.includes(linkOf(`/proc/${pid}/fd/${fd}`)));
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ""; // closed meanwhile
  }
}
