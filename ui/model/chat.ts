/**
 * The words of two strangers and what else they tell each other directly: that somebody types, whether camera and
 * microphone are on. It runs over the call's data channel and never through the node. Lines stay readable after a call
 * until the next stranger is there; channels come and go beneath it.
 */
import { signal } from "@preact/signals";
import { Bucket } from "./bucket.ts";
import type { Clock } from "./clock.ts";
import type { ChatLine } from "./state.ts";

export const MAX_LINE_CHARACTERS = 2_000;
export const MAX_LINES = 500;
/** The longest line, if JSON writes every UTF-16 unit by its number, in six bytes, and what is around it. */
const MAX_MESSAGE_CHARACTERS = MAX_LINE_CHARACTERS * 12 + 100;
const MAX_UNSENT_BYTES = 256 * 1024;
const TYPING_EVERY_MS = 2_000;
const TYPING_SHOWN_MS = 4_000;
/** More refused messages than a page of ours could ever cause: the channel is closed. */
const MAX_REFUSED = 1_000;

/** What a visitor sends right now. */
export interface Sending {
  camera: boolean;
  microphone: boolean;
}

export type ChatMessage =
  | { type: "line"; text: string }
  | { type: "typing" }
  | { type: "media"; camera: boolean; microphone: boolean };

/** Null for whatever is not exactly a message; a line comes out as it may be shown. */
export function parseChatMessage(data: unknown): ChatMessage | null {
  if (typeof data !== "string" || data.length > MAX_MESSAGE_CHARACTERS) return null;
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null) return null;
  const { type, text, camera, microphone } = value as Record<string, unknown>;
  if (type === "typing") return { type };
  if (type === "media") {
    return typeof camera === "boolean" && typeof microphone === "boolean"
      ? { type, camera, microphone }
      : null;
  }
  if (type !== "line" || typeof text !== "string") return null;
  const shown = cleanLine(text);
  return shown === null ? null : { type, text: shown };
}

/** A line as it is sent and shown: no control characters, no half characters. Null when empty or too long. */
export function cleanLine(text: string): string | null {
  if (text.length > MAX_LINE_CHARACTERS * 2) return null;
  const shown = text
    .toWellFormed()
    .replace(/(?!\n)\p{Cc}/gu, " ")
    .trim();
  return shown === "" || [...shown].length > MAX_LINE_CHARACTERS ? null : shown;
}

export class Chat {
  readonly lines = signal<ChatLine[]>([]);
  readonly open = signal(false);
  readonly strangerTyping = signal(false);
  /** What the stranger sends; both until they said otherwise. */
  readonly stranger = signal<Sending>({ camera: true, microphone: true });
  readonly #clock: Clock;
  readonly #sending: () => Sending;
  #channel: RTCDataChannel | null = null;
  #nextId = 1;
  #outgoing: Bucket;
  #incoming: Bucket;
  #notices: Bucket;
  #refused = 0;
  #typedAt = -Infinity;
  #stopTyping = () => {};

  constructor(clock: Clock, sending: () => Sending) {
    this.#clock = clock;
    this.#sending = sending;
    this.#outgoing = new Bucket(clock, 10, 4);
    this.#incoming = new Bucket(clock, 20, 8);
    this.#notices = new Bucket(clock, 20, 4);
  }

  /** Another stranger: nothing of the last one is left. */
  begin(): void {
    this.detach();
    this.lines.value = [];
    this.stranger.value = { camera: true, microphone: true };
    this.#outgoing = new Bucket(this.#clock, 10, 4);
    this.#incoming = new Bucket(this.#clock, 20, 8);
    this.#notices = new Bucket(this.#clock, 20, 4);
    this.#refused = 0;
    this.#typedAt = -Infinity;
  }

  /** Talks over this channel from now on; the one before is nobody's any more. */
  attach(channel: RTCDataChannel): void {
    this.detach();
    this.#channel = channel;
    channel.onopen = () => this.#opened(channel);
    channel.onclose = channel.onclosing = () => {
      if (this.#channel === channel) this.detach();
    };
    channel.onmessage = ({ data }) => {
      if (this.#channel === channel) this.#receive(data);
    };
    if (channel.readyState === "open") this.#opened(channel);
  }

  detach(): void {
    const channel = this.#channel;
    this.#channel = null;
    if (channel) channel.onopen = channel.onclose = channel.onclosing = channel.onmessage = null;
    this.open.value = false;
    this.#showTyping(false);
  }

  /** False when nobody is there, when it is no line, or when it is one too many at once. */
  send(text: string): boolean {
    const line = cleanLine(text);
    if (line === null || !this.open.value || !this.#outgoing.take()) return false;
    if (!this.#tell({ type: "line", text: line })) return false;
    this.#typedAt = -Infinity;
    this.#add("you", line);
    return true;
  }

  typing(): void {
    const now = this.#clock.now();
    if (now - this.#typedAt < TYPING_EVERY_MS) return;
    if (this.#tell({ type: "typing" })) this.#typedAt = now;
  }

  /** Tells the stranger what they get to see and hear, after it changed. */
  tellSending(): void {
    this.#tell({ type: "media", ...this.#sending() });
  }

  #opened(channel: RTCDataChannel): void {
    if (this.#channel !== channel) return;
    this.open.value = true;
    this.tellSending();
  }

  #tell(message: ChatMessage): boolean {
    const channel = this.#channel;
    if (!channel || !this.open.value || channel.bufferedAmount > MAX_UNSENT_BYTES) return false;
    try {
      channel.send(JSON.stringify(message));
      return true;
    } catch {
      return false; // it closed just now
    }
  }

  #receive(data: unknown): void {
    const message = parseChatMessage(data);
    const bucket = message?.type === "line" ? this.#incoming : this.#notices;
    if (!bucket.take() || !message) {
      this.#refused += 1;
      if (this.#refused > MAX_REFUSED) {
        this.#channel?.close();
        this.detach();
      }
    } else if (message.type === "line") {
      this.#showTyping(false);
      this.#add("stranger", message.text);
    } else if (message.type === "typing") {
      this.#showTyping(true);
    } else {
      this.stranger.value = { camera: message.camera, microphone: message.microphone };
    }
  }

  #add(from: ChatLine["from"], text: string): void {
    const line = { id: this.#nextId++, from, text };
    this.lines.value = [...this.lines.value.slice(-(MAX_LINES - 1)), line];
  }

  #showTyping(shown: boolean): void {
    this.#stopTyping();
    this.strangerTyping.value = shown;
    if (shown) this.#stopTyping = this.#clock.after(TYPING_SHOWN_MS, () => this.#showTyping(false));
  }
}
