/**
 * Keeps a certificate of an authority in use: gets the first one, and the next at two thirds of its time. The old one
 * stays in use until the new one is there, and before the first one another source stands in. That time may be months or
 * seconds: nothing waits longer than is short beside the third that is left for the renewal.
 */
import type { Clock } from "../clock.ts";
import type { Certificate, CertificateSource } from "./certificate.ts";
import type { CertificateStore, RenewalLease } from "./certificate-store.ts";

export interface RenewalParts {
  readonly store: CertificateStore;
  /** Gets a new one. `attempt` counts from 0 after each success; see `CertificateStore.lease`. */
  obtain(attempt: number): Promise<Certificate>;
  /** In use as long as there is none. */
  readonly meanwhile: CertificateSource;
  readonly clock: Clock;
  /** Milliseconds since the Unix epoch. */
  readonly wallClock: () => number;
  /** From 0 up to 1. */
  readonly random: () => number;
  readonly log: {
    info(what: object, message: string): void;
    error(what: object, message: string): void;
  };
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** An authority needs some seconds at least. */
const SHORTEST_ATTEMPT_MS = 30_000;
const LONGEST_ATTEMPT_MS = 10 * MINUTE_MS;
/** How often to look for what another node has got, at least. */
const LOOK_MS = HOUR_MS;
/** The same while there is none yet, or another node is at it. */
const LOOK_SOON_MS = 2_000;
const FIRST_WAIT_MS = MINUTE_MS;
const LONGEST_WAIT_MS = 12 * HOUR_MS;

/** When a certificate should be renewed, in ms since the Unix epoch. */
export const dueAt = ({ from, until }: Pick<Certificate, "from" | "until">): number =>
  from + ((until - from) * 2) / 3;

/** Short beside the third of its lifetime in which a certificate is renewed. */
const moment = (lifetime: number): number => lifetime / 30;

/** How long to wait after that many failures in a row: double each time, with a spread, in ms. */
export const waitAfter = (failures: number, random: number, lifetime: number): number =>
  Math.min(FIRST_WAIT_MS * 2 ** (failures - 1), LONGEST_WAIT_MS, moment(lifetime)) * (0.75 + random / 2);

/** How long an attempt may take: half of the time that is left for it at most. */
const attemptFor = (lifetime: number): number =>
  Math.max(SHORTEST_ATTEMPT_MS, Math.min(LONGEST_ATTEMPT_MS, lifetime / 6));

/** Resolves when it has looked for a certificate that was kept; getting one goes on by itself. */
export async function renewed(parts: RenewalParts): Promise<CertificateSource> {
  const { store, obtain, meanwhile, clock, wallClock, random, log } = parts;
  let current: Certificate | undefined;
  /** For how long certificates are valid, in ms, as far as is known. */
  let lifetime = Number.POSITIVE_INFINITY;
  let storeAway = false;
  let stopped = false;
  let held: RenewalLease | undefined;
  let cancel = (): void => {};

  /** How long the one in use will do, in ms. */
  const left = (): number => (current === undefined ? 0 : dueAt(current) - wallClock());
  const soon = (): number => Math.min(LOOK_SOON_MS, moment(lifetime));

  /**
   * Takes over what the store has, which may come from another node. One that was emptied is given ours, and one that a
   * node has given an older one then, too.
   */
  const look = async (): Promise<void> => {
    const kept = await store.certificate();
    if (current !== undefined && (kept === undefined || (kept.from < current.from && left() > 0)))
      return store.saveCertificate(current);
    if (kept === undefined || kept.fingerprint === current?.fingerprint) return;
    lifetime = kept.until - kept.from;
    if (kept.until <= wallClock()) return;
    current = kept;
    log.info({ until: new Date(kept.until) }, "the certificate is in use");
  };

  /** Resolves with how long to wait then, in ms. */
  const renew = async (): Promise<number> => {
    const attempt = attemptFor(lifetime);
    // Beyond the attempt, so that another node never tries beside it.
    const lease = await store.lease(1.1 * attempt);
    if (lease === undefined) return soon();
    held = lease;
    try {
      // Another node may just have done it.
      await look();
      if (left() <= 0) {
        await store.saveCertificate(await within(attempt, obtain(lease.failures)));
        await look();
        // Or one order would follow the other.
        if (left() <= 0)
          throw new Error("what the authority gave is due for renewal already: is the clock right?");
      }
      await lease.done();
      return left();
    } catch (error) {
      // The lease was given back then.
      if (stopped) return LOOK_MS;
      const wait = waitAfter(lease.failures + 1, random(), lifetime);
      log.error(
        { reason: oneLine(error), again: `in ${inWords(wait)}` },
        current === undefined ? "no certificate yet" : "the certificate could not be renewed",
      );
      await lease.failed(wait);
      return wait;
    } finally {
      held = undefined;
    }
  };

  const within = (ms: number, work: Promise<Certificate>): Promise<Certificate> =>
    new Promise((resolve, reject) => {
      const late = clock.after(ms, () => reject(new Error("the authority takes too long")));
      void work.then(resolve, reject).finally(late);
    });

  const turn = async (): Promise<void> => {
    let wait: number;
    try {
      await look();
      wait = left() > 0 ? left() : await renew();
      storeAway = false;
    } catch (error) {
      // The store is away. It will be back, and is asked often until then.
      if (!stopped && !storeAway) log.error({ reason: oneLine(error) }, "cannot look after the certificate");
      storeAway = true;
      wait = soon();
    }
    if (!stopped) cancel = clock.after(Math.min(wait, LOOK_MS), () => void turn());
  };

  await look().catch(() => {});
  // Who starts it may just have mended what was wrong, and should not have to wait for half a day.
  await store.forgive(FIRST_WAIT_MS).catch(() => {});
  if (!stopped) cancel = clock.after(0, () => void turn());
  return {
    get current() {
      return current ?? meanwhile.current;
    },
    async stop() {
      stopped = true;
      cancel();
      // What is under way is left to itself, so that the next process need not wait for it.
      await held?.done().catch(() => {});
      await meanwhile.stop();
    },
  };
}

const inWords = (ms: number): string =>
  ms < MINUTE_MS ? `${Math.ceil(ms / 1_000)} s` : `${Math.ceil(ms / MINUTE_MS)} min`;

const oneLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, " ").slice(0, 500);
