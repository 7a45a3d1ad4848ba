/**
 * A visitor's page without picture: the real page's connection and search (`ui/model`), which say when a node counts as
 * dead, when to connect again and when to ask again, and what the page's store does with what it hears, as far as no
 * call is concerned.
 */
import { randomBytes } from "node:crypto";
import { Search } from "../../../ui/model/search.ts";
import { Signaling } from "../../../ui/model/signaling.ts";
import { Spare } from "../../../ui/model/spare.ts";
import { realClock as clock } from "../../clock.ts";
import type { EndReason, Mode, ServerMessage, Welcome } from "../../protocol/messages.ts";
import { SUBPROTOCOL } from "../../protocol/messages.ts";
import { sessionIdOf } from "../../session/resume-token.ts";

export interface PageOptions {
  /** Where the nodes are now, also those that are dead: nothing stands in front that knows better. */
  routes(): readonly string[];
  /** Which of them it tries first; each further attempt goes to the next one. */
  first: number;
  mode?: Mode;
  /** Insists on somebody who wishes for the same. */
  interest?: string;
}

export class Page {
  /** The pair that it is in. */
  pair: string | undefined;
  isWaiting = false;
  /** The pairs that it was told of, in order, and when each was. */
  readonly matches: { pair: string; at: number }[] = [];
  /** Why pairs of it ended without its doing. */
  readonly endings: EndReason[] = [];
  /** How it came in, each time. */
  readonly welcomes: (Pick<Welcome, "resumed" | "state"> & { at: number; node: number })[] = [];
  /** Signals that came in a pair that it is not in. */
  strays = 0;
  /** Closed for good, and why. */
  closed: string | undefined;
  isOpen = false;
  /** When its node said something last. */
  heardAt = 0;
  /** The node that it is connected to, or tries to be. */
  node = -1;
  onMatched: () => void = () => {};
  readonly interest: string | undefined;
  readonly #heard = new Set<string>();
  readonly #options: PageOptions;
  readonly #signaling: Signaling;
  readonly #search: Search;
  #socket: WebSocket | undefined;
  #attempts = 0;
  #resume: string | undefined;
  #looks = false;
  #left: string | undefined;
  #isGone = false;

  constructor(options: PageOptions) {
    this.#options = options;
    this.interest = options.interest;
    const { random } = Math;
    this.#signaling = new Signaling({
      openSocket: () => this.#openSocket(),
      clock,
      random,
      hello: () => ({ resume: this.#resume }),
      onLink: (link) => {
        this.isOpen = link.state === "open";
        if (link.state === "closed") this.closed = link.why;
      },
      onMessage: (message) => this.#onMessage(message),
    });
    const interests = options.interest === undefined ? [] : [options.interest];
    this.#search = new Search({
      clock,
      random,
      // No call, so no offer that could travel with the search.
      spare: new Spare(clock, () => {
        throw new Error("there are no calls here");
      }),
      preferences: () => ({ interests, languages: [], strict: interests.length > 0, hideAddress: false }),
      canSend: () => this.#signaling.open,
      relayOnly: () => false,
      send: (find) => this.#signaling.send(find),
    });
    this.#signaling.connect();
  }

  /** The id of its session, as the store has it. */
  get session(): string {
    return sessionIdOf(this.#resume!);
  }

  /** For people who look for why a scenario failed. */
  get description(): string {
    const { node, isOpen, isWaiting, pair, closed, interest, welcomes, matches, endings } = this;
    const at = (time: number): number => Math.round(time);
    return JSON.stringify({
      node,
      isOpen,
      isWaiting,
      pair,
      closed,
      interest,
      welcomes: welcomes.map((welcome) => ({ ...welcome, at: at(welcome.at) })),
      matches: matches.slice(-3).map((match) => ({ ...match, at: at(match.at) })),
      endings,
      now: at(performance.now()),
    });
  }

  /** Start, or Next. */
  look(): void {
    this.#looks = true;
    this.#left = this.pair;
    this.pair = undefined;
    this.#search.begin(this.#options.mode ?? "video");
  }

  /** Stop. */
  stop(): void {
    this.#looks = false;
    this.isWaiting = false;
    this.pair = undefined;
    this.#search.end();
    this.#signaling.send({ type: "leave" });
  }

  /** The visitor comes back to the tab: the page asks whether its node is still there. */
  see(): void {
    this.#signaling.hint("visible");
  }

  /** False when there is no way to the node right now. */
  signal(word: string): boolean {
    return (
      this.pair !== undefined && this.#signaling.send({ type: "signal", pair: this.pair, data: { word } })
    );
  }

  hasHeard(word: string): boolean {
    return this.#heard.has(word);
  }

  /** The tab is closed; nothing opens again. */
  close(): void {
    this.#isGone = true;
    this.#socket?.close();
  }

  #openSocket(): WebSocket {
    if (this.#isGone) throw new Error("the tab is closed");
    const routes = this.#options.routes();
    this.node = (this.#options.first + this.#attempts++) % routes.length;
    return (this.#socket = new WebSocket(routes[this.node]!, SUBPROTOCOL));
  }

  #onMessage(message: ServerMessage): void {
    this.heardAt = performance.now();
    switch (message.type) {
      case "welcome":
        this.#onWelcome(message);
        break;
      case "waiting":
        this.#search.end();
        this.pair = undefined;
        this.isWaiting = true;
        break;
      case "matched":
        this.#begin(message.pair);
        break;
      case "ended":
        if (message.pair === this.pair) this.#ended(message.reason);
        break;
      case "signal":
        if (message.pair === this.pair) this.#heard.add(String(message.data["word"]));
        else this.strays += 1;
        break;
      case "error":
        this.#search.refused(message);
        break;
      default:
    }
  }

  #onWelcome({ resume, resumed, state, pair }: Welcome): void {
    this.#resume = resume;
    this.welcomes.push({ resumed, state, at: performance.now(), node: this.node });
    if (!this.#looks) {
      if (state !== "idle") this.#signaling.send({ type: "leave" });
    } else if (state === "paired" && pair !== this.#left) {
      if (pair !== this.pair) this.#begin(pair!);
    } else if (state === "idle" && this.pair !== undefined) this.#ended("lost");
    else {
      this.pair = undefined;
      this.#search.begin(this.#options.mode ?? "video", state === "waiting");
    }
  }

  #begin(pair: string): void {
    this.#search.end();
    this.isWaiting = false;
    this.pair = pair;
    this.matches.push({ pair, at: performance.now() });
    this.onMatched();
  }

  #ended(reason: EndReason): void {
    this.endings.push(reason);
    this.look();
  }
}

/** A word that was never said before. */
export const newWord = (): string => randomBytes(6).toString("hex");
