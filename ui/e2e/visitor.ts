/**
 * A visitor with an identity: a colour with a moving bar for a picture and a tone for a voice, so that a test can tell
 * whose picture and sound arrive, and not only that something moves.
 */
import type { Browser, BrowserContext, Locator, Page } from "playwright-core";

export const COLORS = {
  red: { rgb: [220, 30, 30], tone: 500 },
  green: { rgb: [30, 180, 30], tone: 1000 },
  blue: { rgb: [30, 30, 220], tone: 1500 },
  yellow: { rgb: [220, 200, 20], tone: 2000 },
} as const;
export type Color = keyof typeof COLORS;

type Rgb = [number, number, number];

/** What the page shows and plays of the stranger at one moment. */
interface Sample {
  rgb: Rgb;
  /** Whether the picture is on the screen, and not behind what stands for a camera that is off. */
  shown: boolean;
  /** Where the bar is, from 0 to 1. */
  bar: number;
  /** Decoded so far by the connection that is up: pictures, and moments of sound that were not made up for lost ones. */
  frames: number;
  samples: number;
  /** The loudest frequency in Hz; 0 when there is silence, null before anybody has listened for long enough to tell. */
  tone: number | null;
}

export interface VisitorOptions {
  color?: Color;
  /** What the system says when it is asked for the camera. */
  camera?: "works" | "denied" | "missing";
  viewport?: { width: number; height: number };
  /** Whether the test may let the page's time run ahead. */
  clock?: boolean;
}

export class Visitor {
  readonly page: Page;
  readonly color: Color;
  /** What the page complained about: uncaught errors, and what its Content-Security-Policy stopped. */
  readonly complaints: string[] = [];
  /** What the visitor has written. */
  readonly said: string[] = [];
  /** What its pages sent to the node. */
  readonly frames: string[] = [];
  readonly #context: BrowserContext;

  private constructor(context: BrowserContext, page: Page, color: Color) {
    this.#context = context;
    this.page = page;
    this.color = color;
    page.on("websocket", (socket) => {
      socket.on("framesent", ({ payload }) => this.frames.push(String(payload)));
    });
    page.on("pageerror", (error) => this.complaints.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error" && !EXPECTED.test(message.text())) {
        this.complaints.push(message.text());
      }
    });
  }

  static async open(browser: Browser, url: string, options: VisitorOptions = {}): Promise<Visitor> {
    const { color = "red", camera = "works", viewport = { width: 1024, height: 720 }, clock } = options;
    const context = await browser.newContext({ viewport, ignoreHTTPSErrors: true });
    await context.addInitScript(identity, { ...COLORS[color], camera });
    const visitor = new Visitor(context, await context.newPage(), color);
    if (clock) await visitor.page.clock.install();
    await visitor.page.goto(url);
    return visitor;
  }

  /** The same browser, in another tab. */
  async tab(): Promise<Visitor> {
    const tab = new Visitor(this.#context, await this.#context.newPage(), this.color);
    await tab.page.goto(this.page.url());
    return tab;
  }

  button(name: string): Locator {
    return this.page.getByRole("button", { name, exact: true });
  }

  start(): Promise<void> {
    return this.button("Start").click();
  }

  next(): Promise<void> {
    return this.button("Next").click();
  }

  stop(): Promise<void> {
    return this.button("Stop").click();
  }

  async say(text: string): Promise<void> {
    this.said.push(text);
    await this.page.getByRole("textbox", { name: "Message" }).fill(text);
    await this.button("Send").click();
  }

  hears(text: string): Promise<void> {
    return this.page.getByText(text, { exact: true }).waitFor({ timeout: 10_000 });
  }

  /** The colour of the stranger's picture, null while there is none. */
  async seen(): Promise<Color | null> {
    const sample = await this.sample();
    return sample && sample.shown && sample.frames > 0 ? nearest(sample.rgb) : null;
  }

  /** The voice of the stranger, null while there is silence. */
  async heard(): Promise<Color | null> {
    const sample = await until(
      () => this.sample(),
      (now) => now?.tone !== null,
      `${this.color} listens`,
    );
    const tone = sample?.tone ?? 0;
    const found = Object.entries(COLORS).find(([, who]) => Math.abs(who.tone - tone) < 60);
    return found ? (found[0] as Color) : null;
  }

  sample(): Promise<Sample | null> {
    return this.page.evaluate(sampleStranger);
  }

  /** The colour of the visitor's own picture, null while it is not shown. */
  async seesOwn(): Promise<Color | null> {
    const rgb = await this.page.evaluate(sampleOwn);
    return rgb && nearest(rgb);
  }

  /** What only this visitor and the server know: the tokens that open a session and tell a browser. */
  async tokens(): Promise<string[]> {
    const device = "chatrandom.device";
    const [resumes, kept] = await this.page.evaluate(
      (key) => [(window as unknown as Probed).resumes, localStorage.getItem(key)] as const,
      device,
    );
    return kept === null ? resumes : [...resumes, JSON.parse(kept) as string];
  }

  /** Waits until this visitor sees and hears `other`, moving. */
  async meets(other: Visitor): Promise<void> {
    await until(
      async () => [await this.seen(), await this.heard()],
      ([seen, heard]) => seen === other.color && heard === other.color,
      `${this.color} sees and hears ${other.color}`,
    );
    await this.seesMovement();
    await this.hearsOn();
  }

  /** Waits until more sound was decoded. */
  async hearsOn(): Promise<void> {
    const before = await this.sample();
    await until(
      () => this.sample(),
      (now) => now !== null && now.samples > (before?.samples ?? 0),
      `${this.color} hears on`,
    );
  }

  /** Waits until more frames were decoded and the bar stands elsewhere. */
  async seesMovement(): Promise<void> {
    const before = await this.sample();
    await until(
      () => this.sample(),
      (now) =>
        now !== null &&
        now.frames > (before?.frames ?? 0) + 5 &&
        Math.abs(now.bar - (before?.bar ?? 0)) > 0.02,
      `${this.color} sees something move`,
    );
  }

  /** Cuts the signaling connection, as a network would. */
  async dropSocket(): Promise<void> {
    await this.page.evaluate(() => {
      const { sockets } = window as unknown as Probed;
      for (const socket of sockets) socket.close();
    });
  }

  /** Ends its peer connections, and makes no more: as a browser that has lost its network for good. */
  async loseConnections(): Promise<void> {
    await this.page.evaluate(() => {
      const { peerConnections } = window as unknown as Probed;
      for (const connection of peerConnections) connection.close();
      window.RTCPeerConnection = class {
        constructor() {
          throw new Error("no more");
        }
      } as unknown as typeof RTCPeerConnection;
    });
  }

  /** Which of the peer connections that the page has made carries the call. A spare one may come after it. */
  callConnection(): Promise<number> {
    return this.page.evaluate(() =>
      (window as unknown as Probed).peerConnections.findLastIndex(
        (each) => each.connectionState === "connected",
      ),
    );
  }

  /** By what kind of candidate this side sends, and over what; null while there is no call. */
  way(): Promise<{ local: string; transport: string } | null> {
    return this.page.evaluate(async () => {
      const { peerConnections } = window as unknown as Probed;
      const connection = peerConnections.findLast((each) => each.connectionState === "connected");
      const all = [...((await connection?.getStats())?.values() ?? [])] as Record<string, unknown>[];
      const selected = all.find(({ type }) => type === "transport")?.selectedCandidatePairId;
      const pair = all.find(({ id, type, selected: marked }) =>
        selected === undefined ? type === "candidate-pair" && marked === true : id === selected,
      );
      const local = all.find(({ id }) => id === pair?.localCandidateId);
      if (!local) return null;
      const transport = local.relayProtocol ?? local.protocol;
      return { local: String(local.candidateType), transport: String(transport) };
    });
  }

  async close(): Promise<void> {
    await this.#context.close();
  }
}

/** Browsers report a server that is away, and headers that need https, as errors; the page has its own words for it. */
const EXPECTED = /WebSocket|ERR_CONNECTION|can.t establish|Cross-Origin-Opener-Policy/;

/** For `expect.poll`. */
export const POLL = { timeout: 20_000, interval: 100 };

/** Asks again and again until the answer is as wanted, and gives it; fails with what it was last. */
async function until<T>(ask: () => Promise<T>, wanted: (answer: T) => boolean, what: string): Promise<T> {
  const deadline = performance.now() + POLL.timeout;
  for (;;) {
    const answer = await ask();
    if (wanted(answer)) return answer;
    if (performance.now() > deadline) throw new Error(`not so: ${what}; last: ${JSON.stringify(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, POLL.interval));
  }
}

function nearest([r, g, b]: readonly [number, number, number]): Color | null {
  const distance = ({ rgb }: (typeof COLORS)[Color]) =>
    Math.abs(rgb[0] - r) + Math.abs(rgb[1] - g) + Math.abs(rgb[2] - b);
  const [best] = Object.entries(COLORS).sort(([, a], [, z]) => distance(a) - distance(z));
  return best && distance(best[1]) < 150 ? (best[0] as Color) : null;
}

/** What the tests see of a page beyond its surface. */
interface Probed {
  sockets: WebSocket[];
  resumes: string[];
  peerConnections: RTCPeerConnection[];
  ears?: { stream: MediaStream; context: AudioContext; analyser: AnalyserNode };
}

// The functions below run in the page.

function identity({ rgb, tone, camera }: { rgb: readonly number[]; tone: number; camera: string }): void {
  const page = window as unknown as Probed;
  page.sockets = [];
  page.resumes = [];
  page.peerConnections = [];
  window.WebSocket = new Proxy(window.WebSocket, {
    construct(target, args) {
      const socket = Reflect.construct(target, args) as WebSocket;
      page.sockets.push(socket);
      socket.addEventListener("message", ({ data }) => {
        const { resume } = JSON.parse(data as string) as { resume?: string };
        if (resume !== undefined) page.resumes.push(resume);
      });
      return socket;
    },
  });
  window.RTCPeerConnection = new Proxy(window.RTCPeerConnection, {
    construct(target, args) {
      const connection = Reflect.construct(target, args) as RTCPeerConnection;
      page.peerConnections.push(connection);
      return connection;
    },
  });
  if (!navigator.mediaDevices) return;
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (constraints) => {
    if (camera === "denied") throw new DOMException("no", "NotAllowedError");
    if (camera === "missing") throw new DOMException("none", "NotFoundError");
    const device = await real(constraints);
    const stream = new MediaStream();
    if (device.getVideoTracks().length > 0) {
      const canvas = document.createElement("canvas");
      canvas.width = 320;
      canvas.height = 240;
      const draw = canvas.getContext("2d")!;
      setInterval(() => {
        draw.fillStyle = `rgb(${rgb.join(",")})`;
        draw.fillRect(0, 0, 320, 240);
        draw.fillStyle = "white";
        draw.fillRect((performance.now() / 10) % 300, 180, 20, 60);
      }, 50);
      stream.addTrack(canvas.captureStream(20).getVideoTracks()[0]!);
    }
    if (device.getAudioTracks().length > 0) {
      const audio = new AudioContext();
      const oscillator = audio.createOscillator();
      oscillator.frequency.value = tone;
      const out = audio.createMediaStreamDestination();
      oscillator.connect(out);
      oscillator.start();
      stream.addTrack(out.stream.getAudioTracks()[0]!);
    }
    for (const track of device.getTracks()) track.stop();
    return stream;
  };
}

function sampleOwn(): Rgb | null {
  const video = document.querySelector<HTMLVideoElement>('video[aria-label="You"]');
  if (!video?.videoWidth || !video.checkVisibility({ opacityProperty: true })) return null;
  const canvas = document.createElement("canvas");
  canvas.width = 64;
  canvas.height = 48;
  const draw = canvas.getContext("2d", { willReadFrequently: true })!;
  draw.drawImage(video, 0, 0, 64, 48);
  return Array.from(draw.getImageData(32, 8, 1, 1).data.subarray(0, 3)) as Rgb;
}

async function sampleStranger(): Promise<Sample | null> {
  const video = document.querySelector<HTMLVideoElement>('video[aria-label="Stranger"]');
  const stream = video?.srcObject as MediaStream | null | undefined;
  if (!video || !stream) return null;
  const canvas = document.createElement("canvas");
  canvas.width = 64;
  canvas.height = 48;
  const draw = canvas.getContext("2d", { willReadFrequently: true })!;
  if (video.videoWidth > 0) draw.drawImage(video, 0, 0, 64, 48);
  const at = (x: number, y: number) => Array.from(draw.getImageData(x, y, 1, 1).data.subarray(0, 3)) as Rgb;
  let bar = 0;
  let brightest = -1;
  for (let x = 0; x < 64; x += 1) {
    const light = at(x, 44).reduce((sum, value) => sum + value, 0);
    if (light > brightest) [bar, brightest] = [x / 64, light];
  }

  const page = window as unknown as Probed;
  let tone: number | null = 0;
  if (stream.getAudioTracks().length > 0) {
    if (page.ears?.stream !== stream) {
      void page.ears?.context.close();
      const context = new AudioContext();
      const analyser = context.createAnalyser();
      analyser.fftSize = 2048;
      context.createMediaStreamSource(stream).connect(analyser);
      page.ears = { stream, context, analyser };
    }
    const { analyser, context } = page.ears;
    if (context.currentTime < analyser.fftSize / context.sampleRate) tone = null;
    const spectrum = new Uint8Array(analyser.frequencyBinCount);
    analyser.getByteFrequencyData(spectrum);
    const loudest = spectrum.indexOf(Math.max(...spectrum));
    if (spectrum[loudest]! > 100) tone = (loudest * context.sampleRate) / analyser.fftSize;
  }

  // Firefox counts no frames of a live stream in getVideoPlaybackQuality; the connection's own numbers are exact.
  let frames = 0;
  let samples = 0;
  const connection = page.peerConnections.findLast((each) => each.connectionState === "connected");
  for (const report of (await connection?.getStats())?.values() ?? []) {
    if (report.type !== "inbound-rtp") continue;
    if (report.kind === "video") frames += (report.framesDecoded as number) ?? 0;
    else
      samples += ((report.totalSamplesReceived as number) ?? 0) - ((report.concealedSamples as number) ?? 0);
  }
  const shown = video.checkVisibility({ opacityProperty: true });
  return { rgb: at(32, 8), shown, bar, frames, samples, tone };
}
