/**
 * What the page shows and what a visitor can do, as one contract between the model (which knows no DOM) and the
 * views (which know no socket and no peer connection). `store.ts` implements it; views only read signals and call
 * actions.
 */
import type { ReadonlySignal } from "@preact/signals";
import type { Common, EndReason, Mode, Relaxation, ReportReason } from "../../src/protocol/messages.ts";

/**
 * Where the visitor is. `starting` asks for camera and microphone, and stays while there is neither: the visitor tries
 * again or starts a text chat. `connecting` has a partner but no picture yet. When a call ends other than by Stop, the
 * search for the next partner begins by itself: `waiting`, with `ended` saying why.
 */
export type Phase = "home" | "starting" | "waiting" | "connecting" | "talking";

/**
 * The signaling connection. `reconnecting` keeps a call going; its attempt 0 only moves away from a node that drains.
 * `full`: the node is there, and takes nobody more. `closed` will not come back by itself.
 */
export type ServerLink =
  | { state: "connecting" }
  | { state: "open" }
  | { state: "reconnecting"; attempt: number; full?: boolean }
  | {
      state: "closed";
      why: "banned" | "violation" | "flooding" | "superseded" | "notAdmitted";
      until?: number | null;
      reason?: string;
    };

/** Whether and why there is no own picture or sound. Text chat works in all of them. */
export type MediaState =
  | "unasked"
  | "asking"
  | "granted"
  | "denied" // the visitor or the system said no
  | "missing" // no device
  | "busy" // another program has it
  | "insecure" // the page is not on https or localhost, so browsers hide the devices
  | "unsupported"; // this browser cannot

/** Why a call has not come about so far, although it was tried for long. */
export type Failure =
  | "broken" // it was there, and could not be mended
  | "noWayThrough" // the networks let nothing through
  | "strangerSilent" // the other page has never said a word
  | "browserRefused"; // this browser makes no more connections

/** Why nobody is looked for although the visitor waits. It goes on by itself. */
export type Halt =
  | "tooManyWindows" // this browser searches and chats in as many as it may, until one is free
  | "tooFast" // there were too many searches for a moment
  | "storeAway"; // what finds people is out of the node's reach

/** Why a call is in trouble, or cannot be, in words the views can put plainly. */
export type CallTrouble =
  | Failure
  | Halt
  | "reconnecting" // it was there, and is being mended
  | "noRelay" // the address is to be hidden, and nobody relays
  | "unsupported"; // this browser knows no calls

/** Whether strangers never learn this visitor's address, and who has decided so. */
export type AddressHidden = "no" | "byVisitor" | "byPlace";

export interface ChatLine {
  id: number;
  from: "you" | "stranger";
  text: string;
}

export interface Preferences {
  interests: string[];
  languages: string[];
  strict: boolean;
  /** Go by a relay alone, so that strangers never learn the address. */
  hideAddress: boolean;
}

export interface Store {
  readonly phase: ReadonlySignal<Phase>;
  readonly mode: ReadonlySignal<Mode>;
  readonly server: ReadonlySignal<ServerLink>;
  readonly placeName: ReadonlySignal<string>;
  /** Of the whole cluster, and this browser counts once; null until the node said it. */
  readonly online: ReadonlySignal<number | null>;
  /** How many others look while this visitor waits, in whatever mode; null until the node said it, for each search. */
  readonly othersLooking: ReadonlySignal<number | null>;
  /** Whether the visitor looks or talks in another tab as well: the two never meet. */
  readonly otherTab: ReadonlySignal<boolean>;
  /** Whether there is a last partner, whom this visitor may meet again: when nobody new comes, and after a while (M4). */
  readonly mayMeetAgain: ReadonlySignal<boolean>;
  readonly relaxed: ReadonlySignal<Relaxation[]>;
  readonly common: ReadonlySignal<Common | null>;
  /** Why the last call ended, until the next one begins; null when the visitor ended it. */
  readonly ended: ReadonlySignal<EndReason | null>;
  readonly trouble: ReadonlySignal<CallTrouble | null>;
  readonly media: ReadonlySignal<MediaState>;
  readonly localStream: ReadonlySignal<MediaStream | null>;
  readonly remoteStream: ReadonlySignal<MediaStream | null>;
  readonly microphoneOn: ReadonlySignal<boolean>;
  readonly cameraOn: ReadonlySignal<boolean>;
  /** Whether the stranger sends a picture right now (their camera is on). */
  readonly strangerCameraOn: ReadonlySignal<boolean>;
  readonly chat: ReadonlySignal<ChatLine[]>;
  readonly chatOpen: ReadonlySignal<boolean>;
  readonly strangerTyping: ReadonlySignal<boolean>;
  readonly preferences: ReadonlySignal<Preferences>;
  /** As it will be in the next call. */
  readonly addressHidden: ReadonlySignal<AddressHidden>;
  /** Whether this place has a relay to hide an address with; null until the node said so. */
  readonly relayOffered: ReadonlySignal<boolean | null>;
  /** True once after a report was stored, until the next partner. */
  readonly reported: ReadonlySignal<boolean>;

  start(mode: Mode): void;
  next(): void;
  stop(): void;
  /** Returns false when there is nobody to send it to. Text longer than 2,000 characters is refused. */
  send(text: string): boolean;
  typing(): void;
  setMicrophone(on: boolean): void;
  setCamera(on: boolean): void;
  setPreferences(preferences: Preferences): void;
  /** The first frame of the stranger's picture is on the screen. */
  pictureShown(): void;
  block(): void;
  report(reason: ReportReason, details?: string): void;
  /** Asks for the camera again after it was denied, missing or busy. */
  retryMedia(): void;
  /** Connects again after the server was lost for good (for example superseded by another tab). */
  reconnect(): void;
}
