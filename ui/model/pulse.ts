/**
 * Whether a connection carries anything. One may call itself connected and carry nothing: for as long as the browser
 * takes to notice that the way is gone, or now and then for ever after an ICE restart. So each page beats, and one that
 * has heard the other's beat and then does not for `SILENT_MS` takes the way for gone; sooner where the browser tells that
 * nothing else arrives either. A connection that is well always receives something: receipts for our own beats at least.
 *
 * The silence is counted in own beats, so that a page that slept does not blame the other one, and a page in the
 * background, whose timers are slow, is patient.
 */
import type { Clock } from "./clock.ts";

export const BEAT_MS = 500;
/** Enough for some to be lost on a bad line. */
const SILENT_BEATS = 6;
export const SILENT_MS = SILENT_BEATS * BEAT_MS;
/** Enough when nothing at all has arrived during the last `STILL_BEATS` of them. */
const DOUBTFUL_BEATS = 4;
const STILL_BEATS = 2;
export const STILL_MS = DOUBTFUL_BEATS * BEAT_MS;

export class Pulse {
  readonly #clock: Clock;
  /** Own beats since the other's last one; null before the first. */
  #unheard: number | null = null;
  #received: number | null = null;
  /** For how many own beats nothing has arrived. */
  #still = 0;
  #stop = () => {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get alive(): boolean {
    const unheard = this.#unheard ?? 0;
    return unheard < SILENT_BEATS && (unheard < DOUBTFUL_BEATS || this.#still < STILL_BEATS);
  }

  /** Whether a beat is overdue: then it is worth a look how much the browser receives. */
  get late(): boolean {
    return (this.#unheard ?? 0) > 1;
  }

  /** What the browser has received so far, of anything, asked once a beat while the other's is late. */
  received(bytes: number): void {
    this.#still = bytes === this.#received ? this.#still + 1 : 0;
    this.#received = bytes;
  }

  heard(): void {
    this.#unheard = this.#still = 0;
  }

  /** Beats from now on, and listens anew; `beat` is told how many came before it. */
  start(beat: (count: number) => void): void {
    const next = (count: number) => {
      this.#stop = this.#clock.after(BEAT_MS, () => {
        if (this.#unheard !== null) this.#unheard += 1;
        next(count + 1);
        beat(count);
      });
    };
    this.#stop();
    if (this.#unheard !== null) this.heard();
    next(1);
    beat(0);
  }

  /** Forgets what it heard: the connection is another one. */
  reset(): void {
    this.#stop();
    this.#unheard = this.#received = null;
    this.#still = 0;
  }
}
