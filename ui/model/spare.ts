/**
 * The peer connection whose offer travels with the next `find`, so that a match needs half the round trips. There is
 * never more than one; whoever takes it owns it, and it is closed when it is not wanted any more.
 */
import type { Mode } from "../../src/protocol/messages.ts";
import type { Clock } from "./clock.ts";
import type { Kind, Peer } from "./peer.ts";

export class Spare {
  readonly #clock: Clock;
  readonly #newPeer: (mode: Mode) => Peer;
  #peer: Peer | null = null;
  #offer: string | null = null;
  #sent = false;

  constructor(clock: Clock, newPeer: (mode: Mode) => Peer) {
    this.#clock = clock;
    this.#newPeer = newPeer;
  }

  /** The offer of this mode, if it is ready now. */
  offer(mode: Mode): string | null {
    return this.#peer?.mode === mode ? this.#offer : null;
  }

  /** Makes the offer of this mode, unless it is there already. Resolves also when it cannot be made. */
  async prepare(mode: Mode): Promise<void> {
    if (this.#peer && this.#peer.mode !== mode) this.close();
    let peer: Peer | null = null;
    try {
      peer = this.#peer ??= this.#newPeer(mode);
      const offer = await peer.offer();
      if (this.#peer === peer) this.#offer = offer;
    } catch {
      if (peer) this.#drop(peer);
    }
  }

  /** The offer goes out with a `find`: a match may come any moment. */
  sent(): void {
    if (this.#sent || !this.#peer) return;
    this.#sent = true;
    const peer = this.#peer;
    peer.gather().catch(() => this.#drop(peer));
  }

  /** Hands the peer over; null when there is none whose offer is ready or, with `sentOnly`, went out. */
  take(mode: Mode, sentOnly: boolean): Peer | null {
    const peer = this.#peer;
    if (!peer || peer.mode !== mode || this.#offer === null || (sentOnly && !this.#sent)) return null;
    this.#forget();
    return peer;
  }

  /** Done with it, if its offer went out: we answered instead, and its open ports would cost the relay. */
  retire(): void {
    if (!this.#sent) return;
    this.#peer?.retire(this.#clock);
    this.#forget();
  }

  setTrack(kind: Kind): void {
    this.#peer?.setTrack(kind);
  }

  configure(configuration: RTCConfiguration): void {
    this.#peer?.configure(configuration);
  }

  close(): void {
    this.#peer?.close();
    this.#forget();
  }

  /** Nothing happens to one that was taken meanwhile: it is another's now. */
  #drop(peer: Peer): void {
    if (this.#peer === peer) this.close();
  }

  #forget(): void {
    this.#peer = null;
    this.#offer = null;
    this.#sent = false;
  }
}
