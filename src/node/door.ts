/**
 * The door: a connection says `hello` and gets a session, its own again or a fresh one (S3, S5).
 */
import { CloseCode } from "../protocol/close-codes.ts";
import type { Holder, Resumed } from "../matching/matcher.ts";
import { MAX_FRAME_BYTES } from "../protocol/limits.ts";
import type { ClientMessage, Hello } from "../protocol/messages.ts";
import { deviceOf, newResumeToken, sessionIdOf } from "../session/resume-token.ts";
import { isEnding, newSession, restoredSession } from "../session/session.ts";
import type { Addresses } from "./addresses.ts";
import type { Connection } from "./connection.ts";
import type { NodeParts } from "./contracts.ts";
import type { Seat } from "./hub.ts";
import type { Gone } from "./moves.ts";
import type { Sessions } from "./sessions.ts";

/** Of a client that does not wait for its `welcome`, while the store, which may be away, is asked about its session. */
const MAX_EARLY = { messages: 16, bytes: MAX_FRAME_BYTES };
const RESUME_RETRY_MS = 500;
/** After so long without an answer from the store a visitor may have gone to another node and back. */
const LATE_MS = 250;
const NEWER = "this session has a newer connection";
/** RFC 6455: "try again later". */
const TRY_AGAIN_LATER = 1013;

/** What the store answers of a session that there is. */
interface Found {
  readonly holder: Holder;
  readonly resumed: Resumed;
  readonly previousNode: string | undefined;
}

interface Early {
  message: ClientMessage;
  raw: Uint8Array;
}

export class Door {
  readonly #parts: NodeParts;
  readonly #sessions: Sessions;
  readonly #addresses: Addresses;
  readonly #onMessage: (connection: Connection, message: ClientMessage, raw: Uint8Array) => void;
  readonly #opening = new Map<Connection, Early[]>();
  /** Session → the connection that asks for it; the newest, should there be several. */
  readonly #resuming = new Map<string, Connection>();

  /** `onMessage` is given what a client said before its `welcome`, once it is in. */
  constructor(
    parts: NodeParts,
    sessions: Sessions,
    addresses: Addresses,
    onMessage: (connection: Connection, message: ClientMessage, raw: Uint8Array) => void,
  ) {
    this.#parts = parts;
    this.#sessions = sessions;
    this.#addresses = addresses;
    this.#onMessage = onMessage;
  }

  hello(connection: Connection, hello: Hello): void {
    const token = hello.resume;
    if (token === undefined) {
      this.#openFresh(connection, hello);
      return;
    }
    const id = sessionIdOf(token);
    this.#resuming.get(id)?.close(CloseCode.superseded, NEWER);
    this.#resuming.set(id, connection);
    this.#opening.set(connection, []);
    void this.#resume(connection, hello, token, id).finally(() => {
      if (this.#resuming.get(id) === connection) this.#resuming.delete(id);
    });
  }

  /** What a client says before it is in waits until it is. */
  early(connection: Connection, message: ClientMessage, raw: Uint8Array): void {
    const early = this.#opening.get(connection);
    const bytes = early?.reduce((sum, { raw }) => sum + raw.byteLength, raw.byteLength) ?? 0;
    if (early && early.length < MAX_EARLY.messages && bytes <= MAX_EARLY.bytes) early.push({ message, raw });
    else connection.refuse(1);
  }

  forget(connection: Connection): void {
    this.#opening.delete(connection);
  }

  #openFresh(connection: Connection, hello: Hello): void {
    const { rules, random, metrics, clock } = this.#parts;
    const { hub } = this.#sessions;
    const wait = this.#addresses.take(connection.address, "sessions", clock.now());
    const isFull = hub.size >= rules.maxSessions;
    if (isFull) this.#parts.onFull?.();
    if (wait > 0 || isFull) {
      metrics.refused("too_many_sessions");
      const message = "too many sessions at the moment";
      connection.sendError({ code: "too_many_sessions", message, retryAfter: Math.ceil(wait) || 10 });
      connection.close(TRY_AGAIN_LATER, message);
      return;
    }
    const token = newResumeToken(random);
    const id = sessionIdOf(token);
    const session = newSession(id, hello.device === undefined ? id : deviceOf(hello.device));
    this.#attach(hub.add(session, token), connection, false, true);
  }

  /**
   * Asks the store, even about a session of this node: another node may have taken it over since, and its word that it
   * did may still be on its way. Only when the store is away, or has not heard of the session, is ours believed.
   */
  async #resume(connection: Connection, hello: Hello, token: string, id: string): Promise<void> {
    const { matcher, clock, id: node } = this.#parts;
    const ours = (): Seat | undefined => {
      const seat = this.#sessions.hub.get(id);
      return seat && !isEnding(seat.session) ? seat : undefined;
    };
    const asked = clock.now();
    for (let first = true; connection.isOpen; first = false) {
      try {
        const found = await matcher.resume(id, node);
        const seat = ours();
        if (found) {
          // An attempt whose answer was lost may have taken it over: then this one does not say from whom.
          const previousNode = first ? found.previousNode : undefined;
          const late = !connection.isOpen || clock.now() - asked > LATE_MS;
          this.#takeOver(connection, { ...found, previousNode }, token, late);
        } else if (!connection.isOpen) return;
        else if (seat) this.#attach(seat, connection, true, true);
        else this.#openFresh(connection, hello);
        return;
      } catch (error) {
        this.#onFailed(error);
        const seat = ours();
        if (seat && connection.isOpen) {
          this.#attach(seat, connection, true, false);
          break;
        }
        const message = "one moment, this goes on by itself";
        if (first) connection.sendError({ code: "unavailable", message, retryAfter: 1 });
        await this.#pause();
        if (this.#resuming.get(id) !== connection) return;
      }
    }
    await this.#settle(connection, token, id);
  }

  /**
   * An attempt whose answer was lost may have brought the session here, where it must not stay without anybody. Who was
   * waiting for it has hung up and may be on another node by now, or goes on with what this node knew of it: so it is
   * taken from nowhere, but asked for until there is an answer.
   */
  async #settle(connection: Connection, token: string, id: string): Promise<void> {
    const { matcher, rules, id: node } = this.#parts;
    while (this.#resuming.get(id) === connection && this.#resuming.size <= rules.maxSessions) {
      try {
        const found = await matcher.resume(id, node, true);
        const seat = this.#sessions.hub.get(id);
        if (found && found.holder.epoch !== seat?.session.epoch)
          this.#takeOver(connection, { ...found, previousNode: undefined }, token, true);
        else if (found && seat) this.#sessions.dispatch(seat, { type: "forgotten" }); // its ticket has left the pool
        return;
      } catch (error) {
        this.#onFailed(error);
        await this.#pause();
        if (this.#sessions.isClosed) return;
      }
    }
  }

  #onFailed(error: unknown): void {
    this.#parts.metrics.storeFailed("resume");
    this.#parts.log.debug({ err: error, call: "resume" }, "the store did not answer");
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => void this.#parts.clock.after(RESUME_RETRY_MS, resolve));
  }

  #takeOver(connection: Connection, found: Found, token: string, late: boolean): void {
    const { hub } = this.#sessions;
    const { session, epoch } = found.holder;
    let seat = hub.get(session);
    if (seat && epoch === seat.session.epoch && !isEnding(seat.session)) {
      // It was here all the time; what this node knows of it is more than what the store knows.
      this.#parts.metrics.resumed("here");
    } else {
      this.#parts.metrics.resumed("elsewhere");
      const gone = this.#bringHere(found, token, late);
      if (gone) {
        connection.close(late || gone.late ? CloseCode.elsewhere : CloseCode.superseded, NEWER);
        return;
      }
      seat = hub.get(session)!;
    }
    if (connection.isOpen) this.#attach(seat, connection, true, true);
    else if (!seat.connection) this.#sessions.dispatch(seat, { type: "detached" });
  }

  /** Answers where the session has gone on, should that be heard already. */
  #bringHere({ holder, resumed, previousNode }: Found, token: string, late: boolean): Gone | undefined {
    const { id } = this.#parts;
    const { hub } = this.#sessions;
    const { session, device, epoch } = holder;
    const older = hub.get(session);
    const stranded = older?.stranded;
    // It was ending here, and goes on.
    const wasHere = older?.session.epoch === epoch;
    if (older) {
      older.stranded = undefined; // it would be let go of with the seat
      if (wasHere) this.#sessions.dispatch(older, { type: "superseded", late });
      else this.#sessions.movedOn(older, late);
    }
    const seat = hub.add(restoredSession(session, device, epoch, resumed), token);
    seat.stranded = stranded;
    // Where an attempt whose answer was lost has brought it here, it came from somewhere else.
    const from = wasHere ? id : previousNode === id ? undefined : previousNode;
    return this.#sessions.movedHere(seat, from, late);
  }

  #attach(seat: Seat, connection: Connection, resumed: boolean, vouched: boolean): void {
    const older = seat.connection;
    seat.connection = connection;
    connection.session = seat.session.id;
    older?.close(CloseCode.superseded, NEWER);
    this.#sessions.dispatch(seat, { type: "attached", resumed, vouched });
    const early = this.#opening.get(connection);
    this.#opening.delete(connection);
    for (const { message, raw } of early ?? []) this.#onMessage(connection, message, raw);
  }
}
