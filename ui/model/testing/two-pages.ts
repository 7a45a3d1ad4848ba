/** The two sides of one pair, with the node between them reduced to a wire that delays, loses and breaks. */
import type { Mode, Role } from "../../../src/protocol/messages.ts";
import { Call } from "../call.ts";
import type { Beginning, CallState } from "../call-setup.ts";
import type { CallSignal } from "../call-signal.ts";
import { Peer } from "../peer.ts";
import { FakeNetwork } from "./fake-connection.ts";
import type { FakeConnection } from "./fake-connection.ts";
import { FakeClock, FakeStream } from "./fakes.ts";
import type { Way } from "../way.ts";

export class TwoPages {
  readonly clock = new FakeClock();
  readonly network = new FakeNetwork();
  readonly offerer = new Page(this, "offerer");
  readonly answerer = new Page(this, "answerer");
  /** Milliseconds that the next signal takes. */
  latency = 10;
  /** Whether a signal gets lost on its way. */
  loses: (signal: CallSignal, from: Role) => boolean = () => false;

  other(page: Page): Page {
    return page === this.offerer ? this.answerer : this.offerer;
  }

  /** Both sides of a match without an offer on board. */
  match(): void {
    for (const page of [this.offerer, this.answerer]) {
      page.begin({ kind: "matched", spare: null, offerUsed: false });
    }
  }

  /** Those that stay: a browser is given a moment to close what is not needed any more. */
  async openConnections(): Promise<number> {
    await this.clock.pass(1_000);
    return this.network.open.length;
  }

  get connected(): boolean {
    const [one, other] = [this.offerer.connection, this.answerer.connection];
    return (
      this.offerer.call.state === "connected" &&
      this.answerer.call.state === "connected" &&
      one?.partner === other &&
      other?.partner === one
    );
  }
}

export class Page {
  readonly role: Role;
  call: Call;
  states: CallState[] = [];
  sent: CallSignal[] = [];
  streams: (MediaStream | null)[] = [];
  channels: RTCDataChannel[] = [];
  ways: Way[] = [];
  reachable = true;
  readonly #pages: TwoPages;
  #peers: Peer[] = [];

  constructor(pages: TwoPages, role: Role) {
    this.#pages = pages;
    this.role = role;
    this.call = this.#newCall(0);
  }

  begin(beginning: Beginning): void {
    this.call.begin(beginning);
  }

  /** The page is loaded anew: all it had is gone, without a word; the next one goes on. */
  reload(): void {
    const { generation } = this.call.remembered;
    this.call.close();
    for (const peer of this.#peers) peer.close();
    this.#peers = [];
    this.call = this.#newCall(generation);
    this.setReachable(true);
    this.begin({ kind: "resumed" });
  }

  setReachable(reachable: boolean): void {
    this.reachable = reachable;
    this.call.setReachable(reachable);
  }

  newPeer(mode: Mode = "video", role = this.role): Peer {
    const peer = new Peer({
      mode,
      role,
      configuration: {},
      discretion: () => ({ relayOnly: false, lan: false }),
      newConnection: this.#pages.network.newConnection,
      newStream: () => new FakeStream() as unknown as MediaStream,
      tracks: () => ({ audio: null, video: null }),
    });
    this.#peers.push(peer);
    return peer;
  }

  /** The newest connection that the call has told of. */
  get connection(): FakeConnection | undefined {
    return this.#pages.network.connections.find(
      ({ channel }) => channel === (this.channels.at(-1) as unknown),
    );
  }

  #newCall(generation: number): Call {
    const call = new Call({
      pair: "pair",
      mode: "video",
      role: this.role,
      relayOnly: false,
      generation,
      clock: this.#pages.clock,
      newPeer: (mode, role) => this.newPeer(mode, role),
      events: {
        state: (state) => this.states.push(state),
        stream: (stream) => this.streams.push(stream),
        channel: (channel) => this.channels.push(channel),
        signal: (signal) => this.#signal(signal),
        way: (way) => this.ways.push(way),
      },
    });
    return call;
  }

  #signal(signal: CallSignal): void {
    const { clock, latency, loses } = this.#pages;
    if (!this.reachable) return;
    this.sent.push(signal);
    if (loses(signal, this.role)) return;
    const wire = JSON.stringify(signal);
    clock.after(latency, () => {
      const other = this.#pages.other(this);
      if (other.reachable) other.call.receive(JSON.parse(wire));
    });
  }
}
