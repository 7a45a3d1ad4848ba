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
import type { Beginning, CallSetup, CallState, Obstacle } from "./call-setup.ts";
import type { Candidate } from "./call-signal.ts";
import { isSdp, parseCallSignal } from "./call-signal.ts";
import type { Clock } from "./clock.ts";
import { Heartbeat } from "./heartbeat.ts";
import {
  ANSWERER_PATIENCE_MS,
  ATTEMPT_MS,
  DISCONNECTED_MS,
  FAILED_AFTER_MS,
  FAILED_MS,
  GIVE_UP_MS,
  OVERDUE_MS,
  REBUILD_MS,
  RESTART_MS,
} from "./patience.ts";
import type { Kind, Peer } from "./peer.ts";
import { Trickle } from "./trickle.ts";

/** Candidates that came before the offer they belong to. */
const MAX_EARLY_SIGNALS = 8;

export class Call {
  readonly pair: string;
  readonly mode: Mode;
  readonly role: Role;
  readonly relayOnly: boolean;
  readonly #setup: CallSetup;
  readonly #clock: Clock;
  #state: CallState = "new";
  #generation: number;
  #peer: Peer | null = null;
  #builtAt = -Infinity;
  #restartedAt = -Infinity;
  #troubledAt = 0;
  #reachable = true;
  #early: { candidates: Candidate[]; generation: number }[] = [];
  readonly #trickle: Trickle;
  /** Descriptions cost work, so a stranger gets a bounded amount of it. */
  readonly #patience: Bucket;
  readonly #heartbeat: Heartbeat;
  #heardOfStranger = false;
  /** Whether the browser would not make the current connection. */
  #refused = false;
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
    this.relayOnly = setup.relayOnly;
    this.#setup = setup;
    this.#clock = setup.clock;
    this.#generation = setup.generation ?? 0;
    this.#heartbeat = new Heartbeat(setup.clock, {
      heard: () => this.#heard(),
      silent: (again) => this.#silent(again),
      way: (way) => setup.events.way(way),
    });
    this.#patience = new Bucket(setup.clock, 8, 0.5);
    this.#trickle = new Trickle(setup.clock, (candidates) =>
      setup.events.signal({ candidates, generation: this.#generation }),
    );
  }

  get state(): CallState {
    return this.#state;
  }

  get obstacle(): Obstacle {
    if (this.#refused) return "browser";
    return this.#heardOfStranger ? "network" : "stranger";
  }

  /** Whether the first connection should be there by now. The time before the node came back does not count. */
  get overdue(): boolean {
    return this.#state === "connecting" && this.#clock.now() - this.#troubledAt >= OVERDUE_MS;
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
    this.#heardOfStranger = true;
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
      if (generation !== this.#generation || this.#granting === "connection" || this.#restarts) return;
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
    this.#builtAt = this.#restartedAt = this.#clock.now();
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
      peer = ready ?? this.#setup.newPeer(this.mode, this.role, this.relayOnly);
    } catch {
      this.#refused = true;
      return null;
    }
    this.#refused = false;
    this.#peer = peer;
    this.#heartbeat.attach(peer);
    const { events } = this.#setup;
    peer.listen({
      candidates: (candidates) => this.#trickle.add(candidates),
      state: (state) => this.#moved(state),
      stream: (stream) => events.stream(stream),
      beat: (asked) => this.#heartbeat.hear(asked),
    });
    events.channel(peer.channel);
    return peer;
  }

  #closePeer(): void {
    const peer = this.#peer;
    this.#peer = null;
    this.#heartbeat.detach();
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
      const missed = this.#state === "interrupted";
      this.#enter("connected");
      this.#heartbeat.start(missed);
    } else if (state === "disconnected" || state === "failed") {
      const patience = state === "failed" ? FAILED_MS : DISCONNECTED_MS;
      this.#stopTrouble = this.#clock.after(patience, () => this.#troubled());
    } else if (state === "connecting" && this.#state === "connected") {
      this.#watch(); // ICE restarts: it may take its time, not all time
    }
  }

  /** Whether an ICE restart is under way: both sides notice the same trouble, and a second one would undo the first. */
  get #restarts(): boolean {
    return this.#clock.now() - this.#restartedAt < RESTART_MS;
  }

  #heard(): void {
    // An ICE restart need not show: the browser may have called it connected all the time.
    if (this.#state === "interrupted" && this.#heartbeat.alive) this.#moved("connected");
  }

  #silent(again: boolean): void {
    this.#interrupt();
    // The gentle way once: the browser may say that it has helped, and still nothing comes.
    if (again) this.#anew();
    else this.#heal();
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
    if (this.role === "answerer") this.#ask("ice");
    else if (!this.#restarts) this.#restart();
  }

  #watch(): void {
    this.#stopWatch();
    const patience = ATTEMPT_MS + (this.role === "answerer" ? ANSWERER_PATIENCE_MS : 0);
    this.#stopWatch = this.#clock.after(patience, () => this.#stuck());
  }

  #stuck(): void {
    if (this.#heartbeat.alive) return this.#moved("connected");
    this.#interrupt();
    if (this.#clock.now() - this.#troubledAt < GIVE_UP_MS) this.#anew();
  }

  #interrupt(): void {
    if (this.#state !== "connected") return;
    this.#heartbeat.mend();
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
