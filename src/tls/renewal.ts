/**
 * Keeps a certificate of an authority in use: gets the first one, and the next at two thirds of its time. The old one
 * stays in use until the new one is there, and before the first one another source stands in.
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

/** No attempt takes longer. After it another node may try. */
const ATTEMPT_MS = 10 * MINUTE_MS;
const LEASE_MS = ATTEMPT_MS + MINUTE_MS;
/** How often to look for what another node has got, and whether it is time. */
const LOOK_MS = HOUR_MS;
/** The same while there is none yet, or another node is at it. */
const LOOK_SOON_MS = 10_000;
const FIRST_WAIT_MS = MINUTE_MS;
const LONGEST_WAIT_MS = 12 * HOUR_MS;

/** When a certificate should be renewed, in ms since the Unix epoch. */
export const dueAt = ({ from, until }: Pick<Certificate, "from" | "until">): number =>
  from + ((until - from) * 2) / 3;

/** How long to wait after that many failures in a row: double each time, with a spread, in ms. */
export const waitAfter = (failures: number, random: number): number =>
  Math.min(FIRST_WAIT_MS * 2 ** (failures - 1), LONGEST_WAIT_MS) * (0.75 + random / 2);

/** Resolves when it has looked for a certificate that was kept; getting one goes on by itself. */
export async function renewed(parts: RenewalParts): Promise<CertificateSource> {
  const { store, obtain, meanwhile, clock, wallClock, random, log } = parts;
  let current: Certificate | undefined;
  let stopped = false;
  let held: RenewalLease | undefined;
  let cancel = (): void => {};

  const isDue = (): boolean => current === undefined || wallClock() >= dueAt(current);

  /** Takes over what the store has, which may come from another node. */
  const look = async (): Promise<void> => {
    const kept = await store.certificate();
    if (kept === undefined || kept.until <= wallClock() || kept.fingerprint === current?.fingerprint) return;
    current = kept;
    log.info({ until: new Date(kept.until) }, "the certificate is in use");
  };

  const renew = async (): Promise<number> => {
    const lease = await store.lease(LEASE_MS);
    if (lease === undefined) return LOOK_SOON_MS;
    held = lease;
    try {
      // Another node may just have done it.
      await look();
      if (isDue()) {
        await store.saveCertificate(await inTime(obtain(lease.failures)));
        await look();
      }
      await lease.done();
      return LOOK_MS;
    } catch (error) {
      // The lease was given back then.
      if (stopped) return LOOK_MS;
      const wait = waitAfter(lease.failures + 1, random());
      await lease.failed(wait);
      log.error(
        { reason: oneLine(error), again: `in ${Math.ceil(wait / MINUTE_MS)} min` },
        current === undefined ? "no certificate yet" : "the certificate could not be renewed",
      );
      return Math.min(wait, LOOK_MS);
    } finally {
      held = undefined;
    }
  };

  const inTime = (work: Promise<Certificate>): Promise<Certificate> =>
    new Promise((resolve, reject) => {
      const late = clock.after(ATTEMPT_MS, () => reject(new Error("the authority takes too long")));
      void work.then(resolve, reject).finally(late);
    });

  const turn = async (): Promise<void> => {
    let wait: number;
    try {
      await look();
      wait = isDue() ? await renew() : LOOK_MS;
    } catch (error) {
      // The store is away. It will be back.
      if (!stopped) log.error({ reason: oneLine(error) }, "cannot look after the certificate");
      wait = LOOK_SOON_MS;
    }
    if (!stopped) cancel = clock.after(wait, () => void turn());
  };

  await look().catch(() => {});
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

const oneLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, " ").slice(0, 500);
