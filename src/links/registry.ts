/** The registry: where nodes say how others find them, and others look. Who lives is the lease's business. */
import type { Peer } from "./link.ts";

/** What a node says of itself. It may come to say something else while it lives; others hear of that within a minute. */
export interface NodeCard extends Peer {
  version: string;
  /** The machine's name, for people. */
  machine: string;
  /** Milliseconds since the Unix epoch, by the node's own clock. For people. */
  startedAt: number;
  /** How many of its links with other nodes are up, of how many there are. For people. */
  links?: { up: number; of: number };
  /** Where its relay is found, if it has one that others can reach. Nodes of one machine may share one. */
  relay?: { hosts: readonly string[]; port: number };
}

export interface Registry {
  /** Says how this node is found. Again whenever the store may have lost it. */
  announce(): Promise<void>;
  /** The cards of those of `nodes` that have announced themselves. Costs next to nothing once they are known. */
  look(nodes: readonly string[]): Promise<NodeCard[]>;
  /** Takes the cards of nodes that are no more out of the store. */
  remove(nodes: readonly string[]): Promise<void>;
}
