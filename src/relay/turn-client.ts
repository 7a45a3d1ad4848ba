/**
 * A client of STUN and TURN, to try servers out: what address do I have, an allocation with long-term credentials,
 * datagrams through it. No npm package does this alone: those that can (werift) bring a whole ICE agent, and say little
 * of why something failed, which is what we want to know.
 */
import { randomBytes } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { IcePlace } from "./ice-url.ts";
import {
  type Address,
  ATTRIBUTE,
  addressOf,
  addressValue,
  type Attribute,
  decode,
  encode,
  errorOf,
  isSignedWith,
  longTermKey,
  type Message,
  METHOD,
  valueOf,
} from "./stun.ts";
import { openTransport, type Transport } from "./transport.ts";
import { answeredError, TurnError } from "./turn-error.ts";

export interface Credentials {
  readonly username: string;
  readonly credential: string;
}

export interface TurnClientOptions {
  readonly clock: Clock;
  /** How long to wait for a connection and for each answer, in ms. */
  readonly timeout: number;
  /** Whether a certificate must be trusted; true unless told otherwise. */
  readonly verify?: boolean;
}

/** Every method that returns a promise may reject with a `TurnError`. */
export interface TurnClient {
  /** The server's address that is used. */
  readonly remote: string;
  /** Asks from which address the server sees us. */
  bind(): Promise<Address>;
  /** One for each client. */
  allocate(credentials: Credentials): Promise<Allocation>;
  close(): void;
}

/** An address of the server that relays for us. It ends with the client. */
export interface Allocation {
  readonly relayed: Address;
  /** From where the server sees us. */
  readonly mapped: Address | undefined;
  /** Lets datagrams of this address in, and ours out to it. */
  permit(peer: Address): Promise<void>;
  /** Unreliable, as datagrams are. */
  send(peer: Address, data: Uint8Array): void;
  /** Called with each datagram of a permitted peer. */
  onData: (peer: Address, data: Buffer) => void;
  /** Gives it back, so that it counts against no quota any more. */
  release(): Promise<void>;
}

/** The first answer may be lost; then twice as long each time. */
const RESEND_MS = 500;
const UDP = Buffer.from([17, 0, 0, 0]);
const LIFETIME_S = 600;

interface Waiting {
  key: Uint8Array | undefined;
  settle(answer: Message | TurnError): void;
}

/** The nonce and the realm come from the server; the key is made of them. */
interface Session extends Credentials {
  realm: Buffer;
  nonce: Buffer;
  key: Uint8Array;
}

export async function openTurnClient(place: IcePlace, options: TurnClientOptions): Promise<TurnClient> {
  const { clock, timeout, verify = true } = options;
  const waiting = new Map<string, Waiting>();
  let allocation: Allocation | undefined;
  let broken: TurnError | undefined;

  const onBroken = (error: TurnError): void => {
    broken = error;
    for (const { settle } of waiting.values()) settle(error);
  };

  const onMessage = (bytes: Buffer): void => {
    const message = decode(bytes);
    if (!message) return;
    if (message.kind === "indication") {
      const peer = addressOf(message, ATTRIBUTE.xorPeerAddress);
      const data = valueOf(message, ATTRIBUTE.data);
      if (message.method === METHOD.data && peer && data) allocation?.onData(peer, data);
      return;
    }
    const asked = waiting.get(idOf(message));
    // A success that is not signed comes from somebody else.
    if (!asked || (asked.key && message.kind === "success" && !isSignedWith(bytes, asked.key))) return;
    asked.settle(message);
  };

  const connecting = new AbortController();
  const cancel = clock.after(timeout, () => connecting.abort());
  const transport: Transport = await openTransport(place, {
    verify,
    signal: connecting.signal,
    onMessage,
    onBroken,
  }).finally(cancel);

  /** Sends a request until it is answered, as an error too. */
  const ask = (method: number, attributes: readonly Attribute[], key?: Uint8Array, id = newId()) =>
    new Promise<Message>((resolve, reject) => {
      if (broken) return reject(broken);
      const request: Message = { method, kind: "request", transaction: id, attributes };
      const bytes = encode(request, key);
      let cancelResend = (): void => {};
      const settle = (answer: Message | TurnError): void => {
        cancelResend();
        cancelLast();
        waiting.delete(idOf(request));
        if (answer instanceof TurnError) reject(answer);
        else resolve(answer);
      };
      const send = (again: number): void => {
        transport.send(bytes);
        if (transport.lossy) cancelResend = clock.after(again, () => send(again * 2));
      };
      const cancelLast = clock.after(timeout, () => settle(new TurnError("no_answer")));
      waiting.set(idOf(request), { key, settle });
      send(RESEND_MS);
    });

  /** The same, where an error is one. */
  const askRightly = async (...request: Parameters<typeof ask>): Promise<Message> => {
    const answer = await ask(...request);
    if (answer.kind === "success") return answer;
    throw failureOf(answer);
  };

  /** Signed; a nonce that has grown old is replaced by the one that the server names then. */
  const askAs = async (
    session: Session,
    method: number,
    attributesFor: (id: Uint8Array) => readonly Attribute[],
  ): Promise<Message> => {
    for (let attempt = 0; ; attempt += 1) {
      const id = newId();
      const { username, realm, nonce, key } = session;
      const signed: Attribute[] = [
        ...attributesFor(id),
        [ATTRIBUTE.username, Buffer.from(username)],
        [ATTRIBUTE.realm, realm],
        [ATTRIBUTE.nonce, nonce],
      ];
      const answer = await ask(method, signed, key, id);
      if (answer.kind === "success") return answer;
      const fresh = valueOf(answer, ATTRIBUTE.nonce);
      if (errorOf(answer)?.code !== 438 || !fresh || attempt > 0) throw failureOf(answer);
      session.nonce = fresh;
    }
  };

  /** Asks without credentials, which is how the server's realm and nonce are got. */
  const meet = async (credentials: Credentials, attributes: readonly Attribute[]): Promise<Session> => {
    const answer = await ask(METHOD.allocate, attributes);
    const realm = valueOf(answer, ATTRIBUTE.realm);
    const nonce = valueOf(answer, ATTRIBUTE.nonce);
    if (answer.kind === "success")
      throw new TurnError("failed", "it relays for everybody, without username and password");
    if (errorOf(answer)?.code !== 401 || !realm || !nonce) throw failureOf(answer);
    const { username, credential } = credentials;
    return { ...credentials, realm, nonce, key: longTermKey(username, String(realm), credential) };
  };

  return {
    remote: transport.remote,
    async bind() {
      const answer = await askRightly(METHOD.binding, []);
      const mapped = addressOf(answer, ATTRIBUTE.xorMappedAddress);
      if (!mapped) throw new TurnError("not_turn");
      return mapped;
    },
    async allocate(credentials) {
      // As browsers do it, without a word of IPv4 or IPv6.
      const wish: Attribute[] = [[ATTRIBUTE.requestedTransport, UDP]];
      const session = await meet(credentials, wish);
      const lifetime = Buffer.alloc(4);
      lifetime.writeUInt32BE(LIFETIME_S);
      const answer = await askAs(session, METHOD.allocate, () => [...wish, [ATTRIBUTE.lifetime, lifetime]]);
      const relayed = addressOf(answer, ATTRIBUTE.xorRelayedAddress);
      if (!relayed) throw new TurnError("not_turn");
      allocation = {
        relayed,
        mapped: addressOf(answer, ATTRIBUTE.xorMappedAddress),
        onData: () => {},
        async permit(peer) {
          await askAs(session, METHOD.createPermission, (id) => [
            [ATTRIBUTE.xorPeerAddress, addressValue(peer, id)],
          ]);
        },
        send(peer, data) {
          const transaction = newId();
          const attributes: Attribute[] = [
            [ATTRIBUTE.xorPeerAddress, addressValue(peer, transaction)],
            [ATTRIBUTE.data, data],
          ];
          transport.send(encode({ method: METHOD.send, kind: "indication", transaction, attributes }));
        },
        async release() {
          allocation = undefined;
          await askAs(session, METHOD.refresh, () => [[ATTRIBUTE.lifetime, Buffer.alloc(4)]]);
        },
      };
      return allocation;
    },
    close() {
      transport.close();
      onBroken(new TurnError("closed"));
    },
  };
}

const newId = (): Uint8Array => randomBytes(12);
const idOf = ({ transaction }: Message): string => Buffer.from(transaction).toString("hex");

function failureOf(answer: Message): TurnError {
  const error = errorOf(answer);
  return error ? answeredError(error.code, error.phrase) : new TurnError("not_turn");
}
