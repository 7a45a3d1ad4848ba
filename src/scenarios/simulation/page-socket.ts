import type { Connection } from "../../node/connection.ts";
import type { Socket } from "../../node/socket.ts";
import type { ServerMessage } from "../../protocol/messages.ts";
import type { Member } from "./member.ts";

/** What a page hears of its socket. */
export interface PageEvents {
  onMessage(message: ServerMessage): void;
  onClosed(code: number): void;
  /** A node says something on a connection of which it does not know that nobody is there any more. */
  onMissed(session: string, message: ServerMessage): void;
}

/** One socket between a page and a node. A page that has given it up hears nothing of it any more. */
export class PageSocket implements Socket {
  connection: Connection | undefined;
  readonly member: Member;
  readonly #events: PageEvents;
  #givenUp = false;

  constructor(member: Member, events: PageEvents) {
    this.member = member;
    this.#events = events;
  }

  /** The page has it no more. */
  giveUp(): void {
    this.#givenUp = true;
  }

  send(text: string | Uint8Array): void {
    const message = JSON.parse(Buffer.from(text as string).toString()) as ServerMessage;
    const session = this.connection?.session;
    if (!this.#givenUp) this.#events.onMessage(message);
    else if (session !== undefined) this.#events.onMissed(session, message);
  }
  close(code: number): void {
    this.connection = undefined;
    if (!this.#givenUp) this.#events.onClosed(code);
  }
  terminate(): void {
    this.close(1006);
  }
  ping(): void {
    if (!this.#givenUp) this.member.process.input(() => this.connection?.onPong());
  }
  unsent(): number {
    return 0;
  }
}
