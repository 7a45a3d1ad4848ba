/**
 * Camera and microphone: asked for once, kept over Next, given back on Stop. Off means off: a camera that is switched
 * off is stopped, so that its light goes out; a muted microphone stays open, so that it is back at once.
 */
import { signal } from "@preact/signals";
import type { Kind, Tracks } from "./peer.ts";
import type { MediaState } from "./state.ts";

export interface MediaSetup {
  /** Null where the browser has none: on a page that is not secure, or in a browser that cannot. */
  devices: Pick<MediaDevices, "getUserMedia"> | null;
  secure: boolean;
  newStream(tracks: MediaStreamTrack[]): MediaStream;
  /** Whether the microphone is allowed already, so that asking for it alone raises no second question. */
  microphoneAllowed(): Promise<boolean>;
  /** The track of this kind was replaced, switched, or fell silent. */
  onTrack(kind: Kind): void;
}

const CONSTRAINTS: Record<Kind, MediaTrackConstraints> = {
  audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
  // Enough for a face, and what phones, relays and old laptops carry.
  video: {
    facingMode: "user",
    width: { ideal: 640 },
    height: { ideal: 480 },
    frameRate: { ideal: 30, max: 30 },
  },
};

export class Media {
  readonly state = signal<MediaState>("unasked");
  readonly stream = signal<MediaStream | null>(null);
  /** What the visitor wants while nothing was asked for yet; later whether it is really so. */
  readonly microphoneOn = signal(true);
  readonly cameraOn = signal(true);
  readonly #setup: MediaSetup;
  readonly #wanted: Record<Kind, boolean> = { audio: true, video: true };
  readonly #tracks: Tracks = { audio: null, video: null };
  #active = false;
  #asking: Promise<void> | null = null;
  /** Counts releases: what a browser grants after one is given back at once. */
  #turn = 0;

  constructor(setup: MediaSetup) {
    this.#setup = setup;
  }

  /** The tracks to send. */
  get tracks(): Tracks {
    return { ...this.#tracks };
  }

  /** Whether the stranger gets something of this kind right now. A track is muted when the system blocks the device. */
  sends(kind: Kind): boolean {
    const track = this.#tracks[kind];
    return track !== null && track.enabled && !track.muted;
  }

  /** Asks for what is wanted and not there. Resolves when the browser has answered, whatever it said. */
  acquire(): Promise<void> {
    this.#active = true;
    if (this.#asking) return this.#asking;
    const asking = this.#ask(this.#turn).finally(() => {
      if (this.#asking === asking) this.#asking = null;
    });
    this.#asking = asking;
    return asking;
  }

  release(): void {
    this.#turn += 1;
    this.#active = false;
    this.#asking = null;
    for (const kind of ["audio", "video"] as const) this.#drop(kind);
    this.state.value = "unasked";
    this.#show();
  }

  setMicrophone(on: boolean): void {
    this.#wanted.audio = on;
    const track = this.#tracks.audio;
    if (track) {
      track.enabled = on;
      this.#setup.onTrack("audio");
    } else if (on && this.#active) {
      void this.acquire();
    }
    this.#show();
  }

  setCamera(on: boolean): void {
    this.#wanted.video = on;
    if (!on) this.#drop("video");
    else if (!this.#tracks.video && this.#active) void this.acquire();
    this.#show();
  }

  async #ask(turn: number): Promise<void> {
    // Wishes may change while the question is on the screen, so look again when it is answered.
    const asked = new Set<Kind>();
    for (let missing = this.#missing(asked); missing.length > 0; missing = this.#missing(asked)) {
      for (const kind of missing) asked.add(kind);
      this.state.value = "asking";
      this.#show();
      const why = await this.#fetch(missing, turn);
      if (turn !== this.#turn) return;
      this.state.value = why ?? "granted";
      this.#show();
    }
  }

  #missing(asked: Set<Kind>): Kind[] {
    return (["audio", "video"] as const).filter(
      (kind) => this.#wanted[kind] && !this.#tracks[kind] && !asked.has(kind),
    );
  }

  /** Gets as many of these kinds as the browser gives; says why when not all. */
  async #fetch(kinds: Kind[], turn: number): Promise<MediaState | null> {
    const { devices, secure, microphoneAllowed } = this.#setup;
    if (!devices) return secure ? "unsupported" : "insecure";
    const get = async (some: Kind[]): Promise<MediaState | null> => {
      if (turn !== this.#turn) return null;
      try {
        const constraints = Object.fromEntries(some.map((kind) => [kind, CONSTRAINTS[kind]]));
        const stream = await devices.getUserMedia(constraints);
        for (const track of stream.getTracks()) this.#take(track, turn);
        return null;
      } catch (error) {
        return reason(error);
      }
    };
    const why = await get(kinds);
    if (why === null || kinds.length === 1) return why;
    if (why === "denied") {
      if (await microphoneAllowed()) await get(["audio"]);
    } else if ((await get(["audio"])) !== null) {
      await get(["video"]);
    }
    return why;
  }

  #take(track: MediaStreamTrack, turn: number): void {
    const kind = track.kind as Kind;
    // Released, switched off or replaced while the browser was asking.
    if (turn !== this.#turn || this.#tracks[kind] || (kind === "video" && !this.#wanted.video)) {
      track.stop();
      return;
    }
    track.enabled = this.#wanted[kind];
    this.#tracks[kind] = track;
    track.onended = () => {
      if (this.#tracks[kind] !== track) return;
      this.#drop(kind); // unplugged, or taken away in the browser's settings
      this.state.value = "missing";
      this.#show();
    };
    track.onmute = track.onunmute = () => {
      if (this.#tracks[kind] === track) this.#setup.onTrack(kind);
    };
    this.#showStream();
    this.#setup.onTrack(kind);
  }

  #drop(kind: Kind): void {
    const track = this.#tracks[kind];
    if (!track) return;
    this.#tracks[kind] = null;
    track.onended = track.onmute = track.onunmute = null;
    track.stop();
    this.#showStream();
    this.#setup.onTrack(kind);
  }

  /** A new stream for each change, so that views notice. */
  #showStream(): void {
    const tracks = Object.values(this.#tracks).filter((track) => track !== null);
    this.stream.value = tracks.length > 0 ? this.#setup.newStream(tracks) : null;
  }

  #show(): void {
    const settled = this.#active && this.state.value !== "asking";
    this.microphoneOn.value = this.#wanted.audio && (!settled || this.#tracks.audio !== null);
    this.cameraOn.value = this.#wanted.video && (!settled || this.#tracks.video !== null);
  }
}

/** What a browser means by its error. Names differ between browsers and years. */
function reason(error: unknown): MediaState {
  switch ((error as { name?: unknown } | null)?.name) {
    case "NotAllowedError":
    case "PermissionDeniedError":
    case "SecurityError":
      return "denied";
    case "NotFoundError":
    case "DevicesNotFoundError":
    case "OverconstrainedError":
      return "missing";
    case "NotReadableError":
    case "TrackStartError":
    case "AbortError":
    case "InvalidStateError":
      return "busy";
    default:
      return "unsupported";
  }
}
