/**
 * Peer connections that connect exactly when real ones would: each side holds the other's newest credentials and knows
 * one of the other's addresses. They are strict about order, and count themselves, so that leaks show.
 */
import { FakeTrack } from "./fakes.ts";

/** All peer connections of a test, and the network between them. */
export class FakeNetwork {
  readonly connections: FakeConnection[] = [];
  /** Whether two connections find a way to each other. */
  works = true;
  /** Whether they find it without a relay. What goes direct when it ends says that it is connected, and carries nothing. */
  direct = true;
  /** Connections made while it is true hang. */
  hangs = false;
  /** Connections made while it is true are Firefox's: an ICE restart does not help them. */
  mozilla = false;

  readonly newConnection = (configuration: RTCConfiguration): RTCPeerConnection => {
    const connection = new FakeConnection(this, this.connections.length + 1, configuration);
    connection.stuck = this.hangs;
    connection.mozilla = this.mozilla;
    this.connections.push(connection);
    return connection as unknown as RTCPeerConnection;
  };

  get open(): FakeConnection[] {
    return this.connections.filter(({ signalingState }) => signalingState !== "closed");
  }

  /** The way between all of them is gone; only an ICE restart or a new connection finds another. */
  cut(state: "disconnected" | "failed"): void {
    for (const connection of this.open) connection.move(state);
  }

  check(): void {
    for (const one of this.open) {
      if (one.partner && one.partner.signalingState === "closed") one.move("disconnected");
      const other = this.open.find((candidate) => one.fits(candidate) && candidate.fits(one));
      if (!other || !this.works || one.stuck || other.stuck) continue;
      if (one.linked === `${one.localUfrag} ${other.localUfrag}`) continue;
      if (one.linked !== "" && (one.mozilla || other.mozilla)) continue;
      for (const [mine, theirs] of [[one, other] as const, [other, one] as const]) {
        mine.by = this.direct ? "host" : "relay";
        mine.partner = theirs;
        mine.linked = `${mine.localUfrag} ${theirs.localUfrag}`;
      }
      for (const side of [one, other]) side.move("connected");
      for (const side of [one, other]) side.channel?.opens();
      for (const side of [one, other]) side.pulse?.opens();
    }
  }
}

export class FakeConnection {
  connectionState: RTCPeerConnectionState = "new";
  signalingState: RTCSignalingState = "stable";
  onicecandidate: ((event: { candidate: unknown }) => void) | null = null;
  onconnectionstatechange: (() => void) | null = null;
  ontrack: ((event: { track: FakeTrack }) => void) | null = null;
  channel: FakeChannel | null = null;
  pulse: FakeChannel | null = null;
  /** Says that it is connected, and no message arrives. */
  deaf = false;
  /** Sound and picture arrive, whatever becomes of messages. */
  streams = false;
  received = 0;
  readonly transceivers: FakeTransceiver[] = [];
  configuration: RTCConfiguration;
  /** Like a real one that hangs: everything works, it only never connects. */
  stuck = false;
  mozilla = false;
  partner: FakeConnection | null = null;
  linked = "";
  by: "host" | "relay" = "host";
  localUfrag = "";
  remoteUfrag = "";
  readonly id: number;
  readonly #network: FakeNetwork;
  #round = 0;
  #known = new Set<string>();

  constructor(network: FakeNetwork, id: number, configuration: RTCConfiguration) {
    this.#network = network;
    this.id = id;
    this.configuration = configuration;
  }

  createDataChannel(_label: string, options: RTCDataChannelInit): FakeChannel {
    if (!options.negotiated) throw new Error("all channels are agreed beforehand");
    if (options.id === 0) return (this.channel = new FakeChannel(() => this.hears(this.partner?.channel)));
    return (this.pulse = new FakeChannel(() => this.hears(this.partner?.pulse)));
  }

  addTransceiver(kind: string): FakeTransceiver {
    const transceiver = new FakeTransceiver(kind);
    this.transceivers.push(transceiver);
    return transceiver;
  }

  getTransceivers(): FakeTransceiver[] {
    return this.transceivers;
  }

  async createOffer(options?: RTCOfferOptions): Promise<RTCSessionDescriptionInit> {
    this.#mustBeOpen();
    if (options?.iceRestart || this.#round === 0) this.#round += 1;
    return { type: "offer", sdp: this.#describe() };
  }

  async createAnswer(): Promise<RTCSessionDescriptionInit> {
    this.#mustBe("have-remote-offer");
    return { type: "answer", sdp: this.#describe() };
  }

  async setLocalDescription({ type, sdp = "" }: RTCSessionDescriptionInit): Promise<void> {
    this.#mustBe(type === "offer" ? "stable" : "have-remote-offer");
    await Promise.resolve();
    this.#mustBeOpen();
    this.signalingState = type === "offer" ? "have-local-offer" : "stable";
    const ufrag = ufragOf(sdp);
    if (ufrag === this.localUfrag) return;
    this.localUfrag = ufrag;
    if (this.connectionState === "new") this.move("connecting");
    for (const address of ["192.0.2.1", "192.0.2.2"]) {
      const candidate = `candidate:1 1 udp 1 ${address} ${this.id} typ host`;
      this.onicecandidate?.({
        candidate: { candidate, sdpMid: "0", sdpMLineIndex: 0, usernameFragment: ufrag },
      });
    }
    this.onicecandidate?.({ candidate: null });
    this.#network.check();
  }

  async setRemoteDescription({ type, sdp = "" }: RTCSessionDescriptionInit): Promise<void> {
    this.#mustBe(type === "offer" ? "stable" : "have-local-offer");
    await Promise.resolve();
    this.#mustBeOpen();
    this.signalingState = type === "offer" ? "have-remote-offer" : "stable";
    const ufrag = ufragOf(sdp);
    const first = this.remoteUfrag === "";
    if (type === "offer" && ufrag !== this.remoteUfrag) this.#round += 1;
    this.remoteUfrag = ufrag;
    for (const [, kind = ""] of first ? sdp.matchAll(/^m=(audio|video)/gm) : []) {
      const known = this.transceivers.find(({ receiver }) => receiver.track.kind === kind);
      this.ontrack?.({ track: (known ?? this.addTransceiver(kind)).receiver.track });
    }
    this.#network.check();
  }

  async addIceCandidate({ candidate, usernameFragment }: RTCIceCandidateInit): Promise<void> {
    this.#mustBeOpen();
    if (this.remoteUfrag === "") throw new Error("InvalidStateError");
    if (usernameFragment !== this.remoteUfrag) throw new Error("OperationError");
    if (candidate) this.#known.add(usernameFragment);
    this.#network.check();
  }

  async getStats(): Promise<Map<string, object>> {
    return new Map<string, object>([
      ["L", { id: "L", type: "local-candidate", candidateType: this.by, protocol: "udp" }],
      ["R", { id: "R", type: "remote-candidate", candidateType: "host", protocol: "udp" }],
      [
        "P",
        {
          id: "P",
          type: "candidate-pair",
          selected: this.linked !== "",
          bytesReceived: (this.received += this.streams ? 1_000 : 0),
          localCandidateId: "L",
          remoteCandidateId: "R",
        },
      ],
    ]);
  }

  setConfiguration(configuration: RTCConfiguration): void {
    this.configuration = configuration;
  }

  close(): void {
    this.signalingState = "closed";
    this.connectionState = "closed";
    for (const channel of [this.channel, this.pulse]) if (channel) channel.readyState = "closed";
    this.#network.check();
  }

  /** The partner's end of a channel, if what goes in there comes out. */
  hears(channel: FakeChannel | null | undefined): FakeChannel | null {
    const open = this.by === "relay" || this.#network.direct;
    const arrives = open && this.connectionState === "connected" && this.partner?.deaf === false;
    if (!arrives || this.partner?.partner !== this) return null;
    this.partner.received += 1;
    return channel ?? null;
  }

  /** Whether this side has all it needs to reach `other`. */
  fits(other: FakeConnection): boolean {
    return (
      other !== this &&
      this.signalingState === "stable" &&
      this.remoteUfrag !== "" &&
      this.remoteUfrag === other.localUfrag &&
      this.#known.has(this.remoteUfrag)
    );
  }

  move(state: RTCPeerConnectionState): void {
    if (this.connectionState === state || this.signalingState === "closed") return;
    this.connectionState = state;
    this.onconnectionstatechange?.();
  }

  #describe(): string {
    const sections = this.transceivers.map(({ receiver }) => `m=${receiver.track.kind} 9 UDP 0\r\n`).join("");
    const origin = this.mozilla ? "o=mozilla...THIS_IS_SDPARTA-99.0 1 0 IN IP4 0.0.0.0\r\n" : "";
    return `v=0\r\n${origin}a=ice-ufrag:${this.id}.${this.#round}\r\n${sections}m=application 9 UDP 0\r\n`;
  }

  #mustBeOpen(): void {
    if (this.signalingState === "closed") throw new Error("InvalidStateError");
  }

  #mustBe(state: RTCSignalingState): void {
    if (this.signalingState !== state)
      throw new Error(`InvalidStateError: ${this.signalingState}, not ${state}`);
  }
}

export class FakeTransceiver {
  direction: RTCRtpTransceiverDirection = "sendrecv";
  readonly receiver: { track: FakeTrack };
  readonly sender = {
    track: null as FakeTrack | null,
    async replaceTrack(track: FakeTrack | null): Promise<void> {
      this.track = track;
    },
    setStreams(): void {},
    wholePictures: 0,
    getParameters: () => ({ encodings: [{}] }),
    async setParameters(_parameters: object, options?: { encodingOptions: { keyFrame: boolean }[] }) {
      if (options?.encodingOptions[0]?.keyFrame) this.wholePictures += 1;
    },
  };

  constructor(kind: string) {
    this.receiver = { track: new FakeTrack(kind) };
  }
}

export class FakeChannel {
  readyState: RTCDataChannelState = "connecting";
  bufferedAmount = 0;
  onopen: (() => void) | null = null;
  onclose: (() => void) | null = null;
  onclosing: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  readonly sent: string[] = [];
  readonly #otherEnd: () => FakeChannel | null;

  constructor(otherEnd: () => FakeChannel | null = () => null) {
    this.#otherEnd = otherEnd;
  }

  opens(): void {
    if (this.readyState !== "connecting") return;
    this.readyState = "open";
    this.onopen?.();
  }

  send(text: string): void {
    if (this.readyState !== "open") throw new Error("InvalidStateError");
    this.sent.push(text);
    this.#otherEnd()?.onmessage?.({ data: text });
  }

  close(): void {
    this.readyState = "closed";
  }
}

const ufragOf = (sdp: string): string => /a=ice-ufrag:(\S+)/.exec(sdp)?.[1] ?? "";
