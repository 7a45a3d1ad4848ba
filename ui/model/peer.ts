/**
 * One RTCPeerConnection from birth to death, made so that nothing about it can go wrong twice:
 *
 * - A video call always has one section for sound and one for the picture, with or without a track in it. So camera
 *   and microphone come, go and change by `replaceTrack`, and no call is ever negotiated anew for them.
 * - Steps of the negotiation run one after another, and nothing is told any more once it is closed.
 * - Connection ids, stream ids and certificates are new for each, so that strangers cannot compare them.
 * - What goes out for the stranger holds no address that is not theirs to know (discretion.ts).
 */
import type { Mode, Role } from "../../src/protocol/messages.ts";
import type { Candidate } from "./call-signal.ts";
import type { Clock } from "./clock.ts";
import type { Discretion } from "./discretion.ts";
import { discreetCandidate, discreetSdp } from "./discretion.ts";
import type { Way } from "./way.ts";
import { receivedBytes, wayOf } from "./way.ts";

export type Kind = "audio" | "video";
export type Tracks = Record<Kind, MediaStreamTrack | null>;

export interface PeerSetup {
  mode: Mode;
  role: Role;
  configuration: RTCConfiguration;
  /** Asked whenever something goes out: the visitor may have come home or left it. */
  discretion(): Discretion;
  newConnection(configuration: RTCConfiguration): RTCPeerConnection;
  newStream(): MediaStream;
  /** The tracks to send; asked for when needed, since they may change until then. */
  tracks(): Tracks;
}

export interface PeerEvents {
  candidates(candidates: Candidate[]): void;
  state(state: RTCPeerConnectionState): void;
  /** The stranger's sound and picture, once; tracks are added to the same stream. */
  stream(stream: MediaStream): void;
  /** The stranger's page is there, and what it sends arrives. It may ask for a whole picture with it. */
  beat(asked: boolean): void;
}

/** Of the stranger's, per connection: more than any page has, few enough that nobody scans a network with them. */
const MAX_REMOTE_CANDIDATES = 128;
const MAX_OWN_CANDIDATES_KEPT = 64;
const RETIRED_MS = 1_000;
const ASKING = "?";
const KINDS: Kind[] = ["audio", "video"];

export class Peer {
  readonly mode: Mode;
  readonly channel: RTCDataChannel;
  readonly #setup: PeerSetup;
  readonly #connection: RTCPeerConnection;
  readonly #pulse: RTCDataChannel;
  readonly #senders: Partial<Record<Kind, RTCRtpSender>> = {};
  #events: PeerEvents | null = null;
  #ownCandidates: Candidate[] = [];
  #earlyCandidates: Candidate[] = [];
  #remoteCandidates = 0;
  #remoteKnown = false;
  #firefox = false;
  #received: MediaStream | null = null;
  #steps: Promise<unknown> = Promise.resolve();
  #prepared: Promise<string> | null = null;
  #closed = false;

  /** Throws what the factory throws: browsers limit how many there may be. */
  constructor(setup: PeerSetup) {
    this.#setup = setup;
    this.mode = setup.mode;
    const connection = setup.newConnection(setup.configuration);
    this.#connection = connection;
    connection.onicecandidate = ({ candidate }) => this.#gathered(candidate);
    connection.onconnectionstatechange = () => this.#events?.state(connection.connectionState);
    connection.ontrack = ({ track }) => this.#receive(track);
    // Agreed beforehand, so both sides have them at once and no stranger can open further ones that anybody hears.
    this.channel = connection.createDataChannel("chat", { negotiated: true, id: 0 });
    const unreliable = { ordered: false, maxRetransmits: 0 };
    this.#pulse = connection.createDataChannel("pulse", { negotiated: true, id: 1, ...unreliable });
    this.#pulse.onopen = () => this.beat();
    this.#pulse.onmessage = ({ data }) => this.#events?.beat(data === ASKING);
    if (setup.mode === "video" && setup.role === "offerer") {
      const stream = setup.newStream();
      for (const kind of KINDS) {
        const { sender } = connection.addTransceiver(kind, { direction: "sendrecv", streams: [stream] });
        this.#send(kind, sender);
      }
    }
  }

  get state(): RTCPeerConnectionState {
    return this.#closed ? "closed" : this.#connection.connectionState;
  }

  /** From here on events are told; candidates found before come first, at once. */
  listen(events: PeerEvents): void {
    this.#events = events;
    const found = this.#ownCandidates;
    this.#ownCandidates = [];
    if (found.length > 0) events.candidates(found);
  }

  /**
   * The first offer. Making it costs nothing but time: ports are opened and relays asked from `gather` on, so an offer
   * may lie ready for long.
   */
  async offer(): Promise<string> {
    return this.#discreet(await this.#prepare());
  }

  /** Applies the first offer; candidates come from then on. */
  async gather(): Promise<void> {
    const sdp = await this.#prepare();
    await this.#step(async () => {
      if (this.#connection.signalingState !== "stable" || this.#remoteKnown) return;
      await this.#connection.setLocalDescription({ type: "offer", sdp });
    });
  }

  /**
   * Whether an ICE restart may help. Where Firefox takes part it does not: a connection that failed stays failed
   * (w3c/webrtc-pc#3139), and one that works may stop carrying anything one way.
   */
  get canRestart(): boolean {
    return !this.#firefox;
  }

  /**
   * Offers to move the connection to a new way through the network; nothing happens while another offer is open. `send`
   * gets the offer before it is applied, since the candidates that come of that are worth nothing without it.
   */
  restart(send: (sdp: string) => void): Promise<void> {
    return this.#step(async () => {
      if (this.#connection.signalingState !== "stable") return;
      const offer = await this.#connection.createOffer({ iceRestart: true });
      if (this.#closed) return;
      send(this.#discreet(offer.sdp));
      await this.#connection.setLocalDescription(offer);
    });
  }

  /**
   * Answers an offer. `send` gets the answer before it is applied, for the same reason, and because applying takes about
   * as long as the answer's way through the network.
   */
  answer(sdp: string, send: (sdp: string) => void): Promise<void> {
    return this.#step(async () => {
      const connection = this.#connection;
      this.#remoteCandidates = 0;
      await connection.setRemoteDescription({ type: "offer", sdp: this.#note(sdp) });
      this.#fillSections();
      const answer = await connection.createAnswer();
      if (this.#closed) return;
      send(this.#discreet(this.#note(answer.sdp)));
      const applied = connection.setLocalDescription(answer);
      this.#addEarlyCandidates();
      await applied;
    });
  }

  accept(sdp: string): Promise<void> {
    return this.#step(async () => {
      if (this.#connection.signalingState !== "have-local-offer") return;
      this.#remoteCandidates = 0;
      await this.#connection.setRemoteDescription({ type: "answer", sdp: this.#note(sdp) });
      this.#addEarlyCandidates();
    });
  }

  addCandidates(candidates: Candidate[]): void {
    const room = MAX_REMOTE_CANDIDATES - this.#remoteCandidates;
    const accepted = candidates.slice(0, Math.max(0, room));
    this.#remoteCandidates += accepted.length;
    this.#earlyCandidates.push(...accepted);
    void this.#step(async () => {
      if (this.#remoteKnown) this.#addEarlyCandidates();
    }).catch(() => {});
  }

  /** Which way it takes through the network; null when there is none, or the browser does not say. */
  async way(): Promise<Way | null> {
    if (this.#closed) return null;
    return wayOf(await this.#connection.getStats());
  }

  /** How many bytes have arrived so far, of whatever kind; null when the browser does not say. */
  async received(): Promise<number | null> {
    if (this.#closed) return null;
    return receivedBytes(await this.#connection.getStats());
  }

  /** Lets the stranger's page know that this one is there, and whether it needs a whole picture. */
  beat(asks = false): void {
    if (!this.#closed && this.#pulse.readyState === "open") this.#pulse.send(asks ? ASKING : ".");
  }

  setTrack(kind: Kind): void {
    const sender = this.#senders[kind];
    if (sender && !this.#closed) this.#send(kind, sender);
  }

  /** The next frame says all there is to see, not what has changed: after some were lost, nothing else can be shown. */
  sendWholePicture(): void {
    const sender = this.#senders.video;
    if (!sender?.track || this.#closed) return;
    const parameters = sender.getParameters();
    const encodingOptions = parameters.encodings.map(() => ({ keyFrame: true }));
    // Types, and some browsers, do not know the second argument.
    const set = sender.setParameters as (
      this: RTCRtpSender,
      parameters: RTCRtpSendParameters,
      options: object,
    ) => Promise<void>;
    set.call(sender, parameters, { encodingOptions }).catch(() => {});
  }

  /** New credentials for relays; the ones in use stay in use until ICE restarts. */
  configure(configuration: RTCConfiguration): void {
    try {
      if (!this.#closed) this.#connection.setConfiguration(configuration);
    } catch {
      // Not every browser can on every connection; the next one is made with it.
    }
  }

  /**
   * Ends it for everybody to see: nothing is sent, told or done any more. The browser's part of closing, which keeps a
   * page busy for tens of milliseconds, follows when the moment of a Next has passed.
   */
  retire(clock: Clock): void {
    if (this.#closed) return;
    this.#silence();
    for (const sender of Object.values(this.#senders)) sender.replaceTrack(null).catch(() => {});
    clock.after(RETIRED_MS, () => this.#connection.close());
  }

  close(): void {
    this.#silence();
    this.#connection.close();
  }

  #silence(): void {
    this.#closed = true;
    this.#events = null;
    const connection = this.#connection;
    connection.onicecandidate = connection.onconnectionstatechange = connection.ontrack = null;
  }

  #prepare(): Promise<string> {
    this.#prepared ??= this.#step(async () => this.#note((await this.#connection.createOffer()).sdp));
    return this.#prepared;
  }

  #discreet(sdp = ""): string {
    return discreetSdp(sdp, this.#setup.discretion());
  }

  #step<T>(step: () => Promise<T>): Promise<T> {
    const run = this.#steps.then(() => {
      if (this.#closed) throw new Error("closed");
      return step();
    });
    this.#steps = run.catch(() => {});
    return run;
  }

  /** Looks who made it. Browsers keep a description of another one in words of their own, so later is too late. */
  #note(sdp = ""): string {
    if (sdp.includes("\no=mozilla")) this.#firefox = true;
    return sdp;
  }

  /** Gives our tracks to the sections of a stranger's offer: its first for sound, its first for the picture. */
  #fillSections(): void {
    const stream = this.#setup.newStream();
    for (const transceiver of this.#connection.getTransceivers()) {
      const kind = transceiver.receiver.track.kind as Kind;
      const known = this.#senders[kind];
      if (known === transceiver.sender) continue;
      if (known || this.mode === "text") {
        transceiver.direction = "inactive";
        continue;
      }
      transceiver.direction = "sendrecv";
      // Sound and picture of one stream are played in step. Old browsers lack it and still work.
      transceiver.sender.setStreams?.(stream);
      this.#send(kind, transceiver.sender);
    }
  }

  #send(kind: Kind, sender: RTCRtpSender): void {
    this.#senders[kind] = sender;
    sender.replaceTrack(this.#setup.tracks()[kind]).catch(() => {});
  }

  #receive(track: MediaStreamTrack): void {
    if (this.mode === "text") return;
    if (this.#received?.getTracks().some(({ kind }) => kind === track.kind)) return;
    const first = this.#received === null;
    this.#received ??= this.#setup.newStream();
    this.#received.addTrack(track);
    if (first) this.#events?.stream(this.#received);
  }

  #gathered(found: RTCIceCandidate | null): void {
    // An empty one says that there are no more, which nobody needs to know.
    if (!found?.candidate) return;
    const { sdpMid, sdpMLineIndex, usernameFragment } = found;
    const candidate = discreetCandidate(found.candidate, this.#setup.discretion());
    // A browser calls by TCP but never takes such a call: two of them cannot meet that way.
    if (candidate === null || candidate.includes(" tcptype active")) return;
    const own = { candidate, sdpMid, sdpMLineIndex, usernameFragment };
    if (this.#events) this.#events.candidates([own]);
    else if (this.#ownCandidates.length < MAX_OWN_CANDIDATES_KEPT) this.#ownCandidates.push(own);
  }

  #addEarlyCandidates(): void {
    this.#remoteKnown = true;
    for (const candidate of this.#earlyCandidates.splice(0)) {
      // Refused ones are of an earlier negotiation or nonsense; either way they are no loss.
      this.#connection.addIceCandidate(candidate).catch(() => {});
    }
  }
}
