/** What nodes have told each other over their links and the others have not heard yet. */
import type { Link, LinkEvents } from "../links/link.ts";

export class UnderWay {
  /** How many envelopes, by the way that they take: `from to`. */
  readonly #ways = new Map<string, number>();

  get isEmpty(): boolean {
    return this.#ways.size === 0;
  }

  /** Counts what a link sends. */
  watch(link: Link): void {
    const { node } = link.self;
    const [send, broadcast] = [link.send.bind(link), link.broadcast.bind(link)];
    link.send = (to, envelope) => {
      const sent = send(to, envelope);
      if (sent) this.#count(node, to, 1);
      return sent;
    };
    link.broadcast = (envelope) => {
      const sent = broadcast(envelope);
      const hearing = sent ? link.peers().filter(({ state }) => state === "up") : [];
      for (const peer of hearing) this.#count(node, peer.node, 1);
      return sent;
    };
  }

  /** The events of a node's link, each of them heard once what comes of it at once is done, `lag` ms late. */
  heard(node: string, events: LinkEvents, lag?: number): LinkEvents {
    return {
      onEnvelope: (from, envelope) => {
        const hear = (): void => {
          events.onEnvelope(from, envelope);
          this.#count(from, node, -1);
        };
        if (lag === undefined) hear();
        else setTimeout(hear, lag);
      },
      onLoss: (from, lost) => {
        events.onLoss(from, lost);
        this.#count(from, node, -lost);
      },
      onPeer: (peer, up) => {
        events.onPeer(peer, up);
        // What a link that breaks has lost may never be told of.
        if (!up) this.#ways.delete(`${node} ${peer}`);
      },
    };
  }

  /** Nobody will hear what was on its way to a node that is gone. */
  forget(node: string): void {
    for (const way of this.#ways.keys()) if (way.split(" ").includes(node)) this.#ways.delete(way);
  }

  #count(from: string, to: string, more: number): void {
    const way = `${from} ${to}`;
    const count = (this.#ways.get(way) ?? 0) + more;
    if (count > 0) this.#ways.set(way, count);
    else this.#ways.delete(way);
  }
}
