/**
 * Tries the relay as a visitor's browser would use it: two allocations at each server, a datagram from one to the other
 * and back. It costs two allocations for some milliseconds.
 */
import { randomBytes } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { IceServer } from "../protocol/messages.ts";
import { type IcePlace, parseIceUrl } from "./ice-url.ts";
import type { Address } from "./stun.ts";
import { type Allocation, type Credentials, openTurnClient, type TurnClient } from "./turn-client.ts";
import { socketError, TurnError, type TurnReason } from "./turn-error.ts";

/** What one server does for visitors. */
export interface Tried {
  readonly url: string;
  readonly kind: IcePlace["kind"];
  readonly transport: IcePlace["transport"];
  /** `limited` works, but not for everybody. */
  readonly outcome: "works" | "limited" | "fails";
  /** How long all of it took, in ms. */
  readonly ms: number;
  /** Why it is limited or fails; goes on after the URL. */
  readonly problem?: string;
  readonly reason?: TurnReason;
  /** The server's address that was used. */
  readonly remote?: string;
  /** The address at which it relays. */
  readonly relayed?: Address;
  /** From where it sees us. */
  readonly mapped?: Address;
}

export interface TestOptions {
  readonly clock: Clock;
  /** For each step, in ms. */
  readonly timeout?: number;
}

const TIMEOUT_MS = 5_000;
/** A datagram may be lost. */
const RESEND_MS = 200;
const PAYLOAD_BYTES = 32;

const FORBIDS_ITSELF =
  "it allocates, but does not relay to itself: two visitors who both reach nothing but the relay do not reach each other";

/** Never rejects. Servers whose address is none of STUN or TURN are left out. */
export function testRelay(servers: readonly IceServer[], options: TestOptions): Promise<Tried[]> {
  const tries = servers.flatMap(({ urls, username = "", credential = "" }) =>
    [urls].flat().flatMap((url) => {
      const place = parseIceUrl(url);
      return place ? [tryServer(url, place, { username, credential }, options)] : [];
    }),
  );
  return Promise.all(tries);
}

async function tryServer(
  url: string,
  place: IcePlace,
  credentials: Credentials,
  options: TestOptions,
): Promise<Tried> {
  const { clock } = options;
  const begun = clock.now();
  const seen: { remote?: string; relayed?: Address; mapped?: Address } = {};
  const end = (outcome: Tried["outcome"], problem?: string, reason?: TurnReason): Tried => ({
    url,
    kind: place.kind,
    transport: place.transport,
    outcome,
    ms: clock.now() - begun,
    ...(problem === undefined ? {} : { problem }),
    ...(reason === undefined ? {} : { reason }),
    ...seen,
  });
  // Browsers cannot either.
  if (place.transport === "dtls") return end("limited", "it is for TLS over UDP, which browsers do not use");
  const clients: TurnClient[] = [];
  const run = async (verify: boolean): Promise<void> => {
    const open = async (): Promise<TurnClient> => {
      const client = await openTurnClient(place, {
        clock,
        timeout: options.timeout ?? TIMEOUT_MS,
        verify,
      });
      clients.push(client);
      seen.remote = client.remote;
      return client;
    };
    if (place.kind === "stun") seen.mapped = await (await open()).bind();
    else await exchange(open, credentials, seen, options);
  };
  try {
    try {
      await run(true);
    } catch (error) {
      if (!(error instanceof TurnError) || error.reason !== "untrusted") throw error;
      await run(false);
      return end("limited", `${error.message}, so browsers refuse it`, "untrusted");
    }
    return end("works");
  } catch (error) {
    const { reason, message } = error instanceof TurnError ? error : socketError(error as Error);
    if (reason === "forbidden_peer") return end("limited", FORBIDS_ITSELF, reason);
    return end("fails", message, reason);
  } finally {
    for (const client of clients) client.close();
  }
}

async function exchange(
  open: () => Promise<TurnClient>,
  credentials: Credentials,
  seen: { relayed?: Address; mapped?: Address | undefined },
  options: TestOptions,
): Promise<void> {
  const near = await (await open()).allocate(credentials);
  seen.relayed = near.relayed;
  seen.mapped = near.mapped;
  try {
    const far = await (await open()).allocate(credentials);
    try {
      await near.permit(far.relayed);
      await far.permit(near.relayed);
      await echo(near, far, options);
    } finally {
      await far.release().catch(ignore);
    }
  } finally {
    await near.release().catch(ignore);
  }
}

/** Sends something from one to the other and waits until it has come back. */
function echo(near: Allocation, far: Allocation, { clock, timeout }: TestOptions): Promise<void> {
  const sent = randomBytes(PAYLOAD_BYTES);
  far.onData = (peer, data) => far.send(peer, data);
  return new Promise((resolve, reject) => {
    const send = (): void => near.send(far.relayed, sent);
    const stopSending = clock.every(RESEND_MS, send);
    const late = clock.after(timeout ?? TIMEOUT_MS, () => {
      stopSending();
      reject(new TurnError("no_answer", "it allocates, but what is sent through it does not arrive"));
    });
    near.onData = (_, data) => {
      if (!data.equals(sent)) return;
      stopSending();
      late();
      resolve();
    };
    send();
  });
}

function ignore(): void {}
