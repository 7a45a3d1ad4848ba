/** Stand-ins for what browsers have, for tests: time that is turned by hand, sockets, tracks, storage. */
import type { ClientMessage, ServerMessage } from "../../../src/protocol/messages.ts";
import type { Clock } from "../clock.ts";
import type { KeyValues } from "../kept.ts";
import type { Socket } from "../signaling.ts";
import type { Channel } from "../tabs.ts";

export class FakeClock implements Clock {
  #now = 0;
  #timers: { at: number; run: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#now + ms, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  get pending(): number {
    return this.#timers.length;
  }

  /** Passes time; everything that promises hold is done before and after each timer. */
  async pass(ms: number): Promise<void> {
    const until = this.#now + ms;
    await settle();
    for (;;) {
      const due = this.#timers.filter(({ at }) => at <= until).toSorted((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.#timers = this.#timers.filter((other) => other !== due);
      this.#now = Math.max(this.#now, due.at);
      due.run();
      await settle();
    }
    this.#now = until;
  }

  /** Passes time, at most an hour, until it is so. */
  async until(condition: () => boolean): Promise<void> {
    const limit = this.#now + 3_600_000;
    while (!condition()) {
      if (this.#now >= limit) throw new Error("waited for an hour in vain");
      await this.pass(10);
    }
  }
}

/** Lets everything run that waits for nothing but promises. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 40; i++) await Promise.resolve();
}

export class FakeSocket implements Socket {
  onopen: ((event: Event) => void) | null = null;
  onmessage: ((event: MessageEvent) => void) | null = null;
  onclose: ((event: CloseEvent) => void) | null = null;
  readonly sent: ClientMessage[] = [];
  closed = false;

  send(text: string): void {
    if (this.closed) throw new Error("InvalidStateError");
    this.sent.push(JSON.parse(text) as ClientMessage);
  }

  close(): void {
    this.closed = true;
  }

  opens(): void {
    this.onopen?.({} as Event);
  }

  says(message: ServerMessage): void {
    this.saysText(JSON.stringify(message));
  }

  saysText(data: unknown): void {
    this.onmessage?.({ data } as MessageEvent);
  }

  /** The node or the network ends it. */
  breaks(code = 1006): void {
    this.closed = true;
    this.onclose?.({ code } as CloseEvent);
  }

  /** The messages of one type, oldest first. */
  all<T extends ClientMessage["type"]>(type: T): Extract<ClientMessage, { type: T }>[] {
    return this.sent.filter(
      (message): message is Extract<ClientMessage, { type: T }> => message.type === type,
    );
  }
}

/** Opens fake sockets and counts them. */
export class FakeSockets {
  readonly all: FakeSocket[] = [];

  readonly open = (): FakeSocket => {
    const socket = new FakeSocket();
    this.all.push(socket);
    return socket;
  };

  get last(): FakeSocket {
    const socket = this.all.at(-1);
    if (!socket) throw new Error("no socket was opened");
    return socket;
  }

  get live(): number {
    return this.all.filter(({ closed }) => !closed).length;
  }
}

export class FakeTrack {
  readonly kind: string;
  enabled = true;
  muted = false;
  stopped = false;
  onended: (() => void) | null = null;
  onmute: (() => void) | null = null;
  onunmute: (() => void) | null = null;

  constructor(kind: string) {
    this.kind = kind;
  }

  stop(): void {
    this.stopped = true;
  }
}

export class FakeStream {
  readonly tracks: FakeTrack[];

  constructor(tracks: FakeTrack[] = []) {
    this.tracks = [...tracks];
  }

  getTracks(): FakeTrack[] {
    return this.tracks;
  }

  addTrack(track: FakeTrack): void {
    this.tracks.push(track);
  }
}

/** A camera and a microphone; `refusals` answers questions instead, one after another, by the error's name. */
export class FakeDevices {
  readonly asked: string[][] = [];
  readonly tracks: FakeTrack[] = [];
  refuse: (kinds: string[]) => string | null = () => null;
  #held: (() => void)[] | null = null;

  /** From now on questions stay open until `answer`. */
  hold(): void {
    this.#held = [];
  }

  answer(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const go of held) go();
  }

  async getUserMedia(constraints: MediaStreamConstraints = {}): Promise<MediaStream> {
    const kinds = Object.keys(constraints);
    this.asked.push(kinds);
    if (this.#held) await new Promise<void>((resolve) => this.#held?.push(resolve));
    const name = this.refuse(kinds);
    if (name) throw Object.assign(new Error(name), { name });
    const tracks = kinds.map((kind) => new FakeTrack(kind));
    this.tracks.push(...tracks);
    return new FakeStream(tracks) as unknown as MediaStream;
  }
}

/** What the tabs of one browser open channels on. */
export class FakeChannels {
  readonly #open: (Channel & { name: string })[] = [];

  open(name: string): Channel & { close(): void } {
    const channel = {
      name,
      onmessage: null as Channel["onmessage"],
      postMessage: (message: unknown) => {
        const others = this.#open.filter((other) => other !== channel && other.name === name);
        for (const other of others)
          queueMicrotask(() => other.onmessage?.({ data: structuredClone(message) } as MessageEvent));
      },
      close: () => void this.#open.splice(this.#open.indexOf(channel), 1),
    };
    this.#open.push(channel);
    return channel;
  }
}

export function fakeStorage(
  entries: Record<string, string> = {},
): KeyValues & { entries: Record<string, string> } {
  return {
    entries,
    getItem: (key) => entries[key] ?? null,
    setItem: (key, value) => {
      entries[key] = value;
    },
    removeItem: (key) => {
      delete entries[key];
    },
  };
}
