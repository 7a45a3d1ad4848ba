/**
 * Every message of the wire contract, as the page and the node both see it. README.md beside this file is the
 * contract itself; `parse.ts` is the only place where a stranger's bytes become one of these.
 */

export const SUBPROTOCOL = "chatrandom.v1";
export const PROTOCOL_VERSION = 1;

export type Mode = "video" | "text";
export type Role = "offerer" | "answerer";
export type SessionState = "idle" | "waiting" | "paired";
export type Relaxation = "interests" | "languages" | "recent";
export type EndReason = "left" | "next" | "lost" | "blocked" | "removed";
export const REPORT_REASONS = ["nudity", "minor", "harassment", "violence", "spam", "other"] as const;
export type ReportReason = (typeof REPORT_REASONS)[number];

/** Whether two pages ever had a connection; `abandoned`: somebody went on or away before it could be called overdue. */
export const CALL_OUTCOMES = ["connected", "failed", "abandoned"] as const;
export type CallOutcome = (typeof CALL_OUTCOMES)[number];
/** What went wrong with a call. A call that was connected has one too when it broke, or had no picture of ours. */
export const CALL_CAUSES = [
  "no_way_through", // their networks, or the relay, let nothing through
  "stranger_gone", // the other page never said a word, or is lost
  "stranger_left", // the other visitor went on before a connection was overdue
  "left", // this visitor did
  "server_gone", // the node was out of reach
  "browser_refused", // this browser makes no more connections
  "media_denied",
  "media_missing",
  "media_busy",
] as const;
export type CallCause = (typeof CALL_CAUSES)[number];
export const CANDIDATE_TYPES = ["host", "srflx", "prflx", "relay"] as const;
export type CandidateType = (typeof CANDIDATE_TYPES)[number];
export const TRANSPORTS = ["udp", "tcp", "tls"] as const;
export type Transport = (typeof TRANSPORTS)[number];

/** What two partners have in common. `language` is a primary subtag such as `"en"`. */
export interface Common {
  interests: string[];
  language?: string;
}

/** Structurally an RTCIceServer; repeated here so that the node needs no DOM types. */
export interface IceServer {
  urls: string | string[];
  username?: string;
  credential?: string;
}

/** Settings of this place that the page must know. Grows by optional fields only. */
export interface Settings {
  /** The name that the operator gave the place. */
  name?: string;
  /** Whether the node sees this visitor at an address of this machine or of a private network. */
  lan?: boolean;
}

// Client to server

export interface Hello {
  type: "hello";
  resume?: string;
  device?: string;
  invite?: string;
  proof?: Record<string, unknown>;
  lang?: string;
}
export interface Find {
  type: "find";
  mode: Mode;
  interests?: string[];
  languages?: string[];
  strict?: boolean;
  offer?: string;
  /** The visitor hides their address: the node takes it out of `offer`. */
  relay?: boolean;
  /** As far as the page knows the visitor waits already. So it is no Next, whatever the node has matched meanwhile. */
  again?: boolean;
}
export interface Leave {
  type: "leave";
}
/** An offer, an answer or a candidate. The node relays `data` unread, unless addresses are to be taken out of it (S6, S7). */
export interface Signal {
  type: "signal";
  pair: string;
  data: Record<string, unknown>;
  /** The visitor hides their address. Said to the node only. */
  relay?: boolean;
}
export interface Block {
  type: "block";
  pair: string;
}
export interface Report {
  type: "report";
  pair: string;
  reason: ReportReason;
  details?: string;
}
/** What one side's call was like, said once when it is over. Counted, and neither stored nor relayed. */
export interface Quality {
  type: "quality";
  pair: string;
  outcome: CallOutcome;
  cause?: CallCause;
  /** The way that the call took at last, as this side sees it. */
  way?: { local: CandidateType; remote: CandidateType; transport: Transport };
  /** Milliseconds from `matched` until the stranger's first picture was there. */
  firstFrame?: number;
  /** Whether the connection broke at least once. */
  interrupted?: boolean;
  /** Whether it went on another kind of way than at first. */
  moved?: boolean;
}
export interface Ping {
  type: "ping";
  t?: number;
}
export type ClientMessage = Hello | Find | Leave | Signal | Block | Report | Quality | Ping;

// Server to client

export interface Welcome {
  type: "welcome";
  version: typeof PROTOCOL_VERSION;
  resume: string;
  resumed: boolean;
  state: SessionState;
  pair?: string;
  /** With `pair`: what `matched` said, so that a page that was reloaded can build its call anew. */
  mode?: Mode;
  role?: Role;
  common?: Common;
  iceServers: IceServer[];
  iceTransportPolicy: "all" | "relay";
  online: number;
  settings: Settings;
}
export interface Waiting {
  type: "waiting";
  /** Milliseconds since the Unix epoch, by the clock of the shared store. */
  since: number;
  online: number;
  waiting: number;
  relaxed: Relaxation[];
}
export interface Matched {
  type: "matched";
  pair: string;
  mode: Mode;
  role: Role;
  offer?: string;
  offerUsed?: boolean;
  common: Common;
}
export interface Ended {
  type: "ended";
  pair: string;
  reason: EndReason;
}
export interface Status {
  type: "status";
  online: number;
  waiting: number;
}
export interface Ice {
  type: "ice";
  iceServers: IceServer[];
}
export interface Reported {
  type: "reported";
  pair: string;
}
export interface Banned {
  type: "banned";
  until: number | null;
  reason: string;
  appeal?: string;
}
export interface Drain {
  type: "drain";
  after: number;
}
export interface Pong {
  type: "pong";
  t?: number;
}
export type ErrorCode =
  | "invalid_message"
  | "unknown_type"
  | "rate_limited"
  | "no_such_pair"
  | "not_paired"
  | "unavailable"
  | "too_many_sessions";
export interface ErrorMessage {
  type: "error";
  /** Stable, for programs. */
  code: ErrorCode;
  /** For people. */
  message: string;
  field?: string;
  /** Seconds. */
  retryAfter?: number;
}
export type ServerMessage =
  | Welcome
  | Waiting
  | Matched
  | Signal
  | Ended
  | Status
  | Ice
  | Reported
  | Banned
  | Drain
  | Pong
  | ErrorMessage;
