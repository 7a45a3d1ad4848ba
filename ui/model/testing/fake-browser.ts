/** One tab of a browser, in which pages come and go. What a page opened is gone with it; what it stored stays. */
import type { Browser } from "../browser.ts";
import type { Clock } from "../clock.ts";
import type { Hint, Socket } from "../signaling.ts";
import type { Channel } from "../tabs.ts";
import { FakeNetwork } from "./fake-connection.ts";
import type { FakeClock, FakeSocket, FakeTrack } from "./fakes.ts";
import { FakeChannels, FakeDevices, FakeStream, fakeStorage } from "./fakes.ts";

export class FakeBrowser implements Browser {
  readonly network: FakeNetwork;
  readonly devices = new FakeDevices();
  readonly tabStorage;
  siteStorage = fakeStorage();
  channels: FakeChannels | null = new FakeChannels();
  readonly clock: Clock;
  newConnection: Browser["newConnection"];
  secure = true;
  readonly placeName = "Cellar";
  language = "en-US";
  readonly #openSocket: () => FakeSocket;
  #page = 0;
  #opened: { close(): void }[] = [];
  #hint: ((hint: Hint) => void)[] = [];
  #leave: (() => void)[] = [];
  #tokens = 0;

  constructor(clock: FakeClock, openSocket: () => FakeSocket, network = new FakeNetwork(), tab = {}) {
    this.network = network;
    this.tabStorage = fakeStorage({ ...tab });
    this.#openSocket = openSocket;
    this.newConnection = (configuration) => this.#track(network.newConnection(configuration));
    this.clock = {
      now: () => clock.now(),
      after: (ms, run) => {
        const page = this.#page;
        return clock.after(ms, () => {
          if (page === this.#page) run();
        });
      },
    };
  }

  readonly openSocket = (): Socket => this.#track(this.#openSocket());

  readonly openChannel = (name: string): Channel | null =>
    this.channels && this.#track(this.channels.open(name));

  readonly newStream = (tracks: MediaStreamTrack[] = []): MediaStream =>
    new FakeStream(tracks as unknown as FakeTrack[]) as unknown as MediaStream;

  readonly microphoneAllowed = async (): Promise<boolean> => false;

  readonly random = (): number => 0.5;

  readonly randomToken = (): string => `0123456789abcdef-${this.#tokens++}`;

  readonly onHint = (listener: (hint: Hint) => void): void => void this.#hint.push(listener);

  readonly onLeave = (listener: () => void): void => void this.#leave.push(listener);

  hint(hint: Hint): void {
    for (const listener of this.#hint) listener(hint);
  }

  /** The page goes away, by a reload or for good. */
  leave(): void {
    for (const listener of this.#leave) listener();
    this.#page += 1;
    for (const opened of this.#opened.splice(0)) opened.close();
    this.#leave = [];
    this.#hint = [];
  }

  #track<T extends { close(): void }>(opened: T): T {
    this.#opened.push(opened);
    return opened;
  }
}
