/**
 * A call with one stranger, from the match to its end. It may need several peer connections, one after another; each
 * is a *generation*, and every signal says which one it means.
 *
 *     new → connecting → connected ⇄ interrupted
 *                └──────── failed ────────┘ → closed (from all)
 *
 * Only the offerer makes offers, so the two sides never offer at once (glare hangs some browsers). When the answerer
 * needs one, it asks by a `restart` signal. Nothing is waited for without a watchdog: a connection that is not there in
 * time, whatever went wrong with it, is built anew. `failed` says that this did not help so far; it is still tried for
 * some time, and the call may yet come about.
 *
 * Signals are lost when a socket breaks, so nothing relies on one: while the node is out of reach the call waits, and
 * begins the current step again when it is back.
 */
import type { Mode, Role } from "../../src/protocol/messages.ts";
import { Bucket } from "./bucket.ts";
import type { CallSignal, Candidate } from "./call-signal.ts";
import { isSdp, parseCallSignal } from "./call-signal.ts";
import type { Clock } from "./clock.ts";
import type { Kind, Peer } from "./peer.ts";
import { Trickle } from "./trickle.ts";

export type CallState = "new" | "connecting" | "connected" | "interrupted" | "failed" | "closed";

/** Nothing of these is told after `close`. */
export interface CallEvents {
  state(state: CallState): void;
  /** The stranger's sound and picture; null when the connection that brought them is gone. */
  stream(stream: MediaStream | null): void;
  /** The chat's channel of the newest connection, open or about to open. */
  channel(channel: RTCDataChannel): void;
  signal(signal: CallSignal): void;
}

export interface CallSetup {
  pair: string;
  mode: Mode;
  role: Role;
  /** Of the call that a reloaded page had: ours goes on after it. */
  generation?: number;
  newPeer(mode: Mode, role: Role): Peer;
  clock: Clock;
  events: CallEvents;
}

/** How a call begins. `offerUsed` without its peer happens when a page changed its mind while the match was made. */
export type Beginning =
  | { kind: "matched"; spare: Peer | null; offerUsed: boolean; offer?: string }
  | { kind: "resumed" };

export const ATTEMPT_MS = 8_000;
/** The offerer acts first, so that both do not act on the same trouble. */
const ANSWERER_PATIENCE_MS = 2_000;
/** Most interruptions heal by themselves within this time. */
export const DISCONNECTED_MS = 1_500;
/** The stranger may just have left, which the node tells in a moment. */
const FAILED_MS = 300;
/** Requests of the answerer are not granted more often. */
const REBUILD_MS = 2_000;
/** Without a connection for so long it is fair to say that there is no way; and for so long, to try no more. */
export const FAILED_AFTER_MS = 25_000;
const GIVE_UP_MS = 120_000;
/**
 * A connection may call itself connected and carry nothing, as browsers show now and then after an ICE restart. So each
 * page sends a beat, and one that has heard it and then does not for so long takes the connection for dead.
 */
export const BEAT_MS = 2_000;
export const SILENT_MS = 10_000;
/** Candidates that came before the offer they belong to. */
const MAX_EARLY_SIGNALS = 8;

export class Call {
  readonly pair: string;
  readonly mode: Mode;
  readonly role: Role;
  readonly #setup: CallSetup;
  readonly #clock: Clock;
  #state: CallState = "new";
  #generation: number;
  #peer: Peer | null = null;
  #builtAt = -Infinity;
  #troubledAt = 0;
  #reachable = true;
  #early: { candidates: Candidate[]; generation: number }[] = [];
  readonly #trickle: Trickle;
  /** Descriptions cost work, so a stranger gets a bounded amount of it. */
  readonly #patience: Bucket;
  /** When the current connection brought the last beat; null before the first. */
  #heardAt: number | null = null;
  #stopBeat = () => {};
  #stopWatch = () => {};
  #stopTrouble = () => {};
  #stopVerdict = () => {};
  #stopGranting = () => {};
  /** What the answerer asked for and gets in a moment. */
  #granting: "ice" | "connection" | null = null;

  constructor(setup: CallSetup) {
    this.pair = setup.pair;
    this.mode = setup.mode;
    this.role = setup.role;
    this.#setup = setup;
    this.#clock = setup.clock;
    this.#generation = setup.generation ?? 0;
    this.#patience = new Bucket(setup.clock, 8, 0.5);
    this.#trickle = new Trickle(setup.clock, (candidates) =>
      setup.events.signal({ candidates, generation: this.#generation }),
    );
  }

  get state(): CallState {
    return this.#state;
  }

  /** What the page after a reload needs to go on. */
  get remembered(): { pair: string; role: Role; generation: number } {
    return { pair: this.pair, role: this.role, generation: this.#generation };
  }

  begin(beginning: Beginning): void {
    if (this.#state !== "new") return;
    this.#enter("connecting");
    this.#awaitVerdict();
    this.#watch();
    if (beginning.kind === "resumed") return this.#anew();
    const { spare, offerUsed, offer } = beginning;
    if (this.role === "answerer") {
      spare?.close();
      if (isSdp(offer)) this.#offered(offer, 1);
      return;
    }
    // An offer of ours that is not there any more was generation 1: its answer must not be taken for one to the next.
    if (offerUsed && !spare) this.#generation = 1;
    this.#build(spare, offerUsed && spare !== null);
  }

  /** Takes what the stranger sent. Anything that does not belong here and now is dropped. */
  receive(data: unknown): void {
    if (this.#state === "new" || this.#state === "closed") return;
    const signal = parseCallSignal(data);
    if (!signal) return;
    const { generation } = signal;
    if ("candidates" in signal) {
      if (generation === this.#generation) this.#peer?.addCandidates(signal.candidates);
      else if (generation > this.#generation)
        this.#early = [...this.#early, signal].slice(-MAX_EARLY_SIGNALS);
    } else if ("restart" in signal) {
      if (this.role === "offerer") this.#asked(signal.restart, generation);
    } else if (this.role === "answerer") {
      if (signal.description.type === "offer") this.#offered(signal.description.sdp, generation);
    } else if (signal.description.type === "answer" && generation === this.#generation) {
      this.#peer?.accept(signal.description.sdp).catch(() => {});
    }
  }

  /** Whether signals reach the stranger, as far as our own way to the node goes. */
  setReachable(reachable: boolean): void {
    if (this.#reachable === reachable) return;
    this.#reachable = reachable;
    if (!reachable || ["new", "connected", "closed"].includes(this.#state)) return;
    this.#awaitVerdict();
    if (this.#state === "interrupted") this.#heal();
    else this.#anew();
  }

  setTrack(kind: Kind): void {
    this.#peer?.setTrack(kind);
  }

  configure(configuration: RTCConfiguration): void {
    this.#peer?.configure(configuration);
  }

  close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#stopTimers();
    this.#closePeer();
    this.#early = [];
  }

  // The offerer's side

  /** Makes the next connection, of `ready` if given, and sends its offer unless that is with the stranger already. */
  #build(ready: Peer | null = null, sent = false): void {
    this.#generation += 1;
    const peer = this.#adopt(ready);
    if (!peer || sent) return;
    const send = this.#describe(peer, "offer");
    const offered = peer.offer().then((sdp) => {
      send(sdp);
      return peer.gather();
    });
    offered.catch(() => {}); // the watchdog sees to it, here and below
  }

  #asked(what: "ice" | "connection", generation: number): void {
    const age = this.#clock.now() - this.#builtAt;
    if (what === "ice") {
      if (generation !== this.#generation || this.#granting === "connection") return;
    } else if (generation < this.#generation && age < REBUILD_MS) {
      return; // it has not heard of the current one yet
    }
    this.#stopGranting();
    this.#granting = what;
    this.#stopGranting = this.#clock.after(Math.max(0, REBUILD_MS - age), () => {
      this.#granting = null;
      if (what === "ice") return this.#restart();
      this.#generation = Math.max(this.#generation, generation);
      this.#interrupt();
      this.#watch();
      this.#build();
    });
  }

  /** The gentle way first: a restart keeps the connection, and what is on its way in the chat. */
  #restart(): void {
    const peer = this.#peer;
    this.#watch();
    if (!peer?.canRestart) {
      this.#interrupt();
      return this.#build();
    }
    this.#builtAt = this.#clock.now();
    peer.restart(this.#describe(peer, "offer")).catch(() => {});
  }

  // The answerer's side

  #offered(sdp: string, generation: number): void {
    if (generation < this.#generation) return;
    const renewed = generation === this.#generation ? this.#peer : null;
    // An ICE restart of a connection that was on the page before a reload: nothing here can take it up.
    if (generation === this.#generation && !renewed) return;
    if (!this.#patience.take()) return;
    this.#generation = generation;
    const peer = renewed ?? this.#adopt(null);
    if (!peer) return;
    this.#watch();
    peer.answer(sdp, this.#describe(peer, "answer")).catch(() => {});
    for (const early of this.#early.splice(0)) {
      if (early.generation === generation) peer.addCandidates(early.candidates);
      else if (early.generation > generation) this.#early.push(early);
    }
  }

  // Both sides

  /** Makes `ready`, or a new peer, the current one. Null when the browser refuses: the watchdog tries again. */
  #adopt(ready: Peer | null): Peer | null {
    this.#stopTrouble();
    this.#stopGranting();
    this.#granting = null;
    if (this.#peer) this.#setup.events.stream(null);
    this.#closePeer();
    this.#builtAt = this.#clock.now();
    let peer: Peer;
    try {
      peer = ready ?? this.#setup.newPeer(this.mode, this.role);
    } catch {
      return null;
    }
    this.#peer = peer;
    const { events } = this.#setup;
    peer.listen({
      candidates: (candidates) => this.#trickle.add(candidates),
      state: (state) => this.#moved(state),
      stream: (stream) => events.stream(stream),
      beat: () => (this.#heardAt = this.#clock.now()),
    });
    events.channel(peer.channel);
    return peer;
  }

  #closePeer(): void {
    const peer = this.#peer;
    this.#peer = null;
    this.#heardAt = null;
    this.#stopBeat();
    this.#trickle.clear();
    peer?.retire(this.#clock);
  }

  /** The current connection changed; a closed one tells nothing (see peer.ts). */
  #moved(state: RTCPeerConnectionState): void {
    this.#stopTrouble();
    if (state === "connected") {
      this.#stopWatch();
      this.#stopVerdict();
      if (this.#granting === "ice") this.#stopGranting(); // both noticed, and one restart has healed both
      this.#beat();
      this.#enter("connected");
    } else if (state === "disconnected" || state === "failed") {
      const patience = state === "failed" ? FAILED_MS : DISCONNECTED_MS;
      this.#stopTrouble = this.#clock.after(patience, () => this.#troubled());
    } else if (state === "connecting" && this.#state === "connected") {
      this.#watch(); // ICE restarts: it may take its time, not all time
    }
  }

  get #alive(): boolean {
    const silent = this.#heardAt === null ? 0 : this.#clock.now() - this.#heardAt;
    return this.#peer?.state === "connected" && silent < SILENT_MS;
  }

  #beat(): void {
    this.#peer?.beat();
    this.#stopBeat();
    this.#stopBeat = this.#clock.after(BEAT_MS, () => {
      this.#beat();
      if (this.#state === "connected" && this.#peer?.state === "connected" && !this.#alive) {
        this.#interrupt();
        this.#anew();
      } else if (this.#state === "interrupted" && this.#alive) {
        this.#moved("connected"); // an ICE restart need not show: the old way may have stayed open meanwhile
      }
    });
  }

  #troubled(): void {
    if (this.#state === "connected") {
      this.#interrupt();
      this.#heal();
    } else if (this.#peer?.state === "failed") {
      this.#stuck();
    }
  }

  #heal(): void {
    this.#watch();
    if (!this.#reachable) return;
    if (this.role === "offerer") this.#restart();
    else this.#ask("ice");
  }

  #watch(): void {
    this.#stopWatch();
    const patience = ATTEMPT_MS + (this.role === "answerer" ? ANSWERER_PATIENCE_MS : 0);
    this.#stopWatch = this.#clock.after(patience, () => this.#stuck());
  }

  #stuck(): void {
    if (this.#alive) return this.#moved("connected");
    this.#interrupt();
    if (this.#clock.now() - this.#troubledAt < GIVE_UP_MS) this.#anew();
  }

  #interrupt(): void {
    if (this.#state !== "connected") return;
    this.#enter("interrupted");
    this.#awaitVerdict();
  }

  #awaitVerdict(): void {
    this.#troubledAt = this.#clock.now();
    this.#stopVerdict();
    this.#stopVerdict = this.#clock.after(FAILED_AFTER_MS, () => {
      // While the node is away, that is what is wrong. It begins again when it is back.
      if (this.#reachable) this.#enter("failed");
    });
  }

  #anew(): void {
    if (this.#state === "closed") return;
    this.#watch();
    if (!this.#reachable) return;
    if (this.role === "offerer") this.#build();
    else this.#ask("connection");
  }

  /** Sends a description, unless its connection is not the current one any more. */
  #describe(peer: Peer, type: "offer" | "answer"): (sdp: string) => void {
    const generation = this.#generation;
    return (sdp) => {
      if (this.#peer === peer) this.#setup.events.signal({ description: { type, sdp }, generation });
    };
  }

  #ask(restart: "ice" | "connection"): void {
    this.#setup.events.signal({ restart, generation: this.#generation });
  }

  #enter(state: CallState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#setup.events.state(state);
  }

  #stopTimers(): void {
    this.#stopWatch();
    this.#stopTrouble();
    this.#stopVerdict();
    this.#stopGranting();
  }
}
