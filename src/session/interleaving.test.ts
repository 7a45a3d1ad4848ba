/**
 * Several sessions on two nodes, the matcher's specification between them, and every call, answer and note as late as
 * fast-check likes: whatever crosses whatever, in the end all of them agree.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { mayMeet } from "../matching/model-tickets.ts";
import { ModelMatcher } from "../matching/model.ts";
import { DEFAULT_RULES } from "../matching/rules.ts";
import { ask } from "../node/ask.ts";
import type { ClientMessage, ServerMessage } from "../protocol/messages.ts";
import type { Answer, Call } from "./call.ts";
import type { Effect, TimerName } from "./effect.ts";
import type { Event } from "./event.ts";
import type { Partner, Wish } from "./match.ts";
import type { Note } from "./note.ts";
import { RULES } from "./play.ts";
import { isEnding, newSession } from "./session.ts";
import type { Session } from "./session.ts";
import { step } from "./step.ts";

const RUNS = Number(process.env.CHATRANDOM_SESSION_RUNS ?? 1_000);
const NODES = ["n1", "n2"] as const;
/** The last two are windows of one device. */
const VISITORS = 5;
const deviceOf = (visitor: number): string => `d${Math.min(visitor, 3)}`;

type Command =
  | { do: "find"; who: number; wish: Wish }
  | { do: "leave" | "block" | "blockLast" | "drop" | "back"; who: number }
  /** Something that is under way gets on: a call reaches the store, an answer or a note arrives. */
  | { do: "go"; which: number }
  /** The answer to a call is lost; all that a node has said to the other one is lost; the store loses everything. */
  | { do: "lose"; which: number }
  | { do: "cut"; from: string; to: string }
  | { do: "empty" }
  | { do: "pass"; ms: number };

/** What a page believes. */
type View = { name: "idle" | "searching" } | { name: "paired"; pair: string; undone?: boolean };

interface Visitor {
  readonly number: number;
  readonly node: string;
  /** How many sessions this visitor has had. */
  nth: number;
  session: Session;
  readonly timers: Map<TimerName, number>;
  view: View;
  lastPair?: string;
  connected: boolean;
  /** Whether the session has ended and no new one has begun. */
  away: boolean;
  /** The call under way, and its answer once the store has done it. */
  call?: Asked;
  /** Calls that were given up and that the store may do yet, before any later one. */
  late: Call[];
}

interface Asked {
  readonly call: Call;
  /** By when it is answered or given up. */
  readonly by: number;
  answer?: Answer;
}

/** How long things take at most. */
interface Delays {
  /** A call of the store, which is given up then unless it is `sure`. */
  readonly store: number;
  readonly sure?: boolean;
  /** A note from node to node. */
  readonly link: number;
}

interface Sent {
  readonly to: string;
  readonly from: Partner;
  readonly note: Note;
  /** By when it arrives. */
  readonly by: number;
}

class World {
  now = 1_750_000_000_000;
  readonly visitors: Visitor[] = [];
  /** What visitors were told that two who did nothing are not to be told. */
  readonly upsets: string[] = [];
  matcher!: ModelMatcher;
  readonly #delays: Delays;
  #pairs = 0;
  #delivering = false;
  /** From node to node, in order. */
  readonly #links = new Map<string, Sent[]>();
  readonly #here: Sent[] = [];
  readonly #blocked = new Set<string>();

  constructor(delays: Delays) {
    this.#delays = delays;
    for (let number = 0; number < VISITORS; number++) {
      const node = NODES[number % NODES.length]!;
      this.visitors.push({
        number,
        node,
        nth: 0,
        session: newSession(`s${number}.0`, deviceOf(number)),
        timers: new Map(),
        view: { name: "idle" },
        connected: true,
        away: false,
        late: [],
      });
    }
  }

  async open(): Promise<void> {
    await this.#newStore();
    for (const visitor of this.visitors)
      this.#step(visitor, { type: "attached", resumed: false, vouched: true });
  }

  async #newStore(): Promise<void> {
    this.matcher = new ModelMatcher({
      rules: { ...DEFAULT_RULES, lease: Number.MAX_SAFE_INTEGER / 4 },
      mostPlaces: 1,
      now: () => this.now,
      newPair: () => `p${++this.#pairs}`,
    });
    this.#blocked.clear();
    for (const node of NODES) await this.matcher.renew(node, { online: 0, waiting: 0 });
  }

  async run(command: Command): Promise<void> {
    switch (command.do) {
      case "pass":
        await this.pass(command.ms);
        break;
      case "go":
        await this.#go(command.which);
        break;
      case "lose":
        await this.#lose(command.which);
        break;
      case "cut":
        this.#cut(command.from, command.to);
        break;
      case "empty":
        await this.#newStore();
        for (const visitor of this.visitors) this.#forgotten(visitor);
        break;
      default:
        await this.#act(this.visitors[command.who]!, command);
    }
  }

  async #act(visitor: Visitor, command: Extract<Command, { who: number }>): Promise<void> {
    const { view } = visitor;
    if (command.do === "back") return this.comeBack(visitor);
    if (!visitor.connected) return;
    switch (command.do) {
      case "find": {
        visitor.view = { name: "searching" };
        this.#say(visitor, { type: "find", mode: command.wish.mode }, command.wish);
        break;
      }
      case "leave":
        visitor.view = { name: "idle" };
        this.#say(visitor, { type: "leave" });
        break;
      case "block":
        if (view.name !== "paired") return;
        visitor.view = { name: "idle" };
        this.#say(visitor, { type: "block", pair: view.pair });
        break;
      case "blockLast":
        if (visitor.lastPair && (view.name !== "paired" || view.pair !== visitor.lastPair))
          this.#say(visitor, { type: "block", pair: visitor.lastPair });
        break;
      case "drop":
        visitor.connected = false;
        this.#step(visitor, { type: "detached" });
        break;
    }
  }

  /** As the door does it. */
  async comeBack(visitor: Visitor): Promise<void> {
    if (visitor.connected || isEnding(visitor.session)) return;
    const fresh = visitor.away;
    if (!fresh) await this.matcher.resume(visitor.session.id, visitor.node);
    Object.assign(visitor, { connected: true, away: false });
    this.#step(visitor, { type: "attached", resumed: !fresh, vouched: true });
  }

  /** Everything that could happen next. */
  #underWay(): (() => void | Promise<void>)[] {
    const calls = this.visitors.flatMap((visitor) => {
      const { call } = visitor;
      const late = visitor.late.length > 0 ? [() => this.#lateCalls(visitor)] : [];
      if (!call) return late;
      return [...late, () => this.#advance(visitor, call)];
    });
    const notes = [...this.#links.values()].flatMap((link) =>
      link.length === 0 ? [] : [() => this.#deliver(link)],
    );
    return [...calls, ...notes];
  }

  /** A call reaches the store, or its answer the session. */
  async #advance(visitor: Visitor, call: Asked): Promise<void> {
    await this.#lateCalls(visitor);
    if (call.answer === undefined) {
      call.answer = await this.#ask(visitor, call.call);
      return;
    }
    delete visitor.call;
    this.#step(visitor, { type: "answer", answer: call.answer });
  }

  async #go(which: number): Promise<boolean> {
    const all = this.#underWay();
    if (all.length === 0) return false;
    await all[which % all.length]!();
    return true;
  }

  /** A call whose answer never comes, whether the store has done it or not. */
  async #lose(which: number): Promise<void> {
    const asking = this.visitors.filter(({ call }) => call);
    const visitor = asking[which % asking.length];
    if (visitor) this.#giveUp(visitor, which % 2 === 0);
  }

  /** As the node does it when messages of another one are missing. */
  #cut(from: string, to: string): void {
    if (this.#link(from, to).splice(0).length === 0) return;
    for (const visitor of this.visitors) {
      const { state } = visitor.session;
      const concerned =
        state.name === "paired" ? state.match.partner.node === from : state.name === "waiting";
      if (visitor.node === to && concerned) this.#forgotten(visitor);
    }
  }

  #forgotten(visitor: Visitor): void {
    if (!visitor.away) this.#step(visitor, { type: "forgotten" });
  }

  #giveUp(visitor: Visitor, arrives: boolean): void {
    const { call, answer } = visitor.call!;
    if (!answer && arrives) visitor.late.push(call);
    delete visitor.call;
    this.#step(visitor, { type: "unanswered" });
  }

  async #lateCalls(visitor: Visitor): Promise<void> {
    for (const call of visitor.late.splice(0)) await this.#ask(visitor, call);
  }

  async drain(): Promise<void> {
    for (let moved = true; moved;) moved = await this.#go(0);
  }

  /** Time passes; what is due meanwhile happens, and `drained` says that everything else is quick. */
  async pass(ms: number, drained = false): Promise<void> {
    const end = this.now + ms;
    for (;;) {
      if (drained) await this.drain();
      const dues = this.visitors.flatMap((visitor) =>
        Array.from(visitor.timers, ([timer, at]) => ({
          at,
          run: (): void | Promise<void> => {
            visitor.timers.delete(timer);
            this.#step(visitor, { type: "due", timer });
          },
        })),
      );
      for (const link of this.#links.values())
        if (link[0]) dues.push({ at: link[0].by, run: () => this.#deliver(link) });
      for (const visitor of this.visitors) {
        const { call } = visitor;
        if (!call) continue;
        const run = () => (this.#delays.sure ? this.#advance(visitor, call) : this.#giveUp(visitor, true));
        dues.push({ at: call.by, run });
      }
      const next = dues.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.now = Math.max(this.now, next.at);
      await next.run();
    }
    this.now = end;
  }

  async #ask(visitor: Visitor, call: Call): Promise<Answer> {
    const { id: session, device, epoch } = visitor.session;
    const answer = await ask(this.matcher, { session, device, epoch, node: visitor.node }, call, () => []);
    if ("outcome" in answer && answer.outcome.kind === "matched") {
      const { partner } = answer.outcome.match;
      const other = this.visitors.find(({ session: theirs }) => theirs.id === partner.session);
      const devices = [device, other?.session.device ?? "gone"].toSorted();
      expect(new Set(devices).size, "M3: one device with itself").toBe(2);
      expect(this.#blocked, "M3: blocked").not.toContain(devices.join());
    }
    if (answer.name === "block" && answer.blocked && answer.blocked !== "superseded")
      this.#blocked.add([device, answer.blocked.partnerDevice].toSorted().join());
    return answer;
  }

  #say(visitor: Visitor, message: ClientMessage, wish?: Wish): void {
    this.#step(visitor, { type: "message", message, raw: new Uint8Array(), wish });
  }

  #step(visitor: Visitor, event: Event): void {
    const { session, effects } = step(visitor.session, event, this.now, RULES);
    visitor.session = session;
    for (const effect of effects) this.#run(visitor, effect);
    if (this.#delivering) return;
    this.#delivering = true;
    while (this.#here.length > 0) this.#deliver(this.#here);
    this.#delivering = false;
  }

  #run(visitor: Visitor, effect: Effect): void {
    const { session, timers } = visitor;
    switch (effect.do) {
      case "call":
        expect(visitor.call, "one call at a time").toBeUndefined();
        visitor.call = { call: effect.call, by: this.now + this.#delays.store };
        break;
      case "timer":
        timers.set(effect.timer, this.now + effect.after);
        break;
      case "cancel":
        timers.delete(effect.timer);
        break;
      case "tell": {
        const { partner, note } = effect;
        const from = { session: session.id, node: visitor.node };
        const link = partner.node === visitor.node ? this.#here : this.#link(visitor.node, partner.node);
        link.push({ to: partner.session, from, note, by: this.now + this.#delays.link });
        break;
      }
      case "welcome":
        visitor.view =
          session.state.name === "paired"
            ? { name: "paired", pair: session.state.match.pair }
            : { name: session.state.name === "idle" ? "idle" : "searching" };
        break;
      case "waiting":
        this.#expectSearching(visitor, "waiting");
        visitor.view = { name: "searching" };
        break;
      case "send":
        this.#hear(visitor, effect.message);
        break;
      case "count":
        if (effect.what !== "undone") break;
        this.upsets.push(`undone for ${session.id}`);
        if (visitor.view.name === "paired") visitor.view.undone = true;
        break;
      case "forget": {
        const { number } = visitor;
        const nth = visitor.nth + 1;
        // The next one of this visitor, who stays away until they come back.
        Object.assign(visitor, {
          nth,
          session: newSession(`s${number}.${nth}`, deviceOf(number)),
          view: { name: "idle" },
          away: true,
        });
        timers.clear();
        delete visitor.call;
        delete visitor.lastPair;
        visitor.late = [];
        break;
      }
      default:
        break;
    }
  }

  #hear(visitor: Visitor, message: ServerMessage): void {
    const { view } = visitor;
    switch (message.type) {
      case "matched":
        this.#expectSearching(visitor, "matched");
        visitor.view = { name: "paired", pair: message.pair };
        visitor.lastPair = message.pair;
        break;
      case "ended":
        expect(view, "ended").toEqual({ name: "paired", pair: message.pair });
        this.upsets.push(`${message.pair} ended for ${visitor.session.id}: ${message.reason}`);
        visitor.view = { name: "idle" };
        break;
      case "error":
        if (message.code === "too_many_sessions") visitor.view = { name: "idle" };
        break;
      default:
        break;
    }
  }

  /** Or in a pair that is taken back without a word. */
  #expectSearching({ view, session }: Visitor, heard: string): void {
    const searching = view.name === "searching" || (view.name === "paired" && view.undone);
    expect(searching, `${session.id} hears ${heard} and is ${view.name}`).toBe(true);
  }

  #link(from: string, to: string): Sent[] {
    const name = `${from} ${to}`;
    const link = this.#links.get(name) ?? [];
    this.#links.set(name, link);
    return link;
  }

  #deliver(link: Sent[]): void {
    const { to, from, note } = link.shift()!;
    const visitor = this.visitors.find(({ session }) => session.id === to);
    if (visitor) this.#step(visitor, { type: "note", from, note });
    else if (note.type === "matched") {
      // As the node does it for a session that it does not have.
      const back = this.#link("nowhere", from.node);
      const { pair } = note;
      back.push({
        to: from.session,
        from: { session: to, node: "nowhere" },
        note: { type: "refused", pair },
        by: this.now,
      });
    }
  }

  /** All that must be true once nothing is under way any more. */
  check(): void {
    const known = new Set(this.visitors.map(({ session }) => session.id));
    for (const id of this.matcher.sessions.keys()) expect(known, "a session of nobody").toContain(id);
    for (const { session, view, timers, connected, away } of this.visitors) {
      if (away) continue;
      const stored = this.matcher.sessions.get(session.id);
      const { state, id } = session;
      expect([session.calling, ...session.queued], `${id} has asked everything`).toEqual([undefined]);
      expect(connected || state.name === "idle", `${id} is gone for good`).toBe(true);
      switch (state.name) {
        case "idle":
          expect(stored?.pair, `${id} is idle`).toBeUndefined();
          expect(stored?.ticket, `${id} is idle`).toBeUndefined();
          expect(view, id).toEqual({ name: "idle" });
          break;
        case "waiting":
          expect(stored?.pair, `${id} waits`).toBeUndefined();
          expect(stored?.ticket?.insists, `${id} is in the pool`).toBeDefined();
          expect(stored?.ticket).toMatchObject({ wish: state.wish, since: state.since });
          expect(timers.has("retry"), `${id} will ask again`).toBe(true);
          expect(view, id).toEqual({ name: "searching" });
          break;
        case "paired": {
          const { pair, partner, role } = state.match;
          const other = this.visitors.find((one) => one.session.id === partner.session)?.session;
          expect(stored?.pair, `${id} is in ${pair}`).toMatchObject({
            id: pair,
            role,
            partner: partner.session,
          });
          expect(other?.state, `the other side of ${id}`).toMatchObject({
            name: "paired",
            match: { pair, partner: { session: id } },
          });
          expect(state.confirmed).toBe(true);
          expect(view, id).toEqual({ name: "paired", pair });
          break;
        }
      }
    }
    this.#checkNobodyStarves();
  }

  /** M7, once everything that gives way has. */
  #checkNobodyStarves(): void {
    const tickets = [...this.matcher.sessions.values()].filter(({ ticket }) => ticket?.insists);
    for (const a of tickets) {
      for (const b of tickets) {
        if (a.session >= b.session || a.device === b.device) continue;
        if (this.#blocked.has([a.device, b.device].toSorted().join())) continue;
        expect(mayMeet(a.ticket!, b.ticket!), `M7: ${a.session} and ${b.session} wait`).toBe(false);
      }
    }
  }
}

const who = fc.nat(VISITORS - 1);
const ANY: Wish = { mode: "video", interests: [], languages: [], strict: false };
const wish = fc.constantFrom<Wish[]>(
  ANY,
  ANY,
  ANY,
  { ...ANY, mode: "text" },
  { ...ANY, interests: ["art"] },
  { ...ANY, interests: ["art"], strict: true },
);
const only = <const T extends string>(...names: T[]) => fc.constantFrom(...names);
const weighted = (weight: number, arbitrary: fc.Arbitrary<Command>) => ({ weight, arbitrary });
const finds = weighted(30, fc.record({ do: only("find"), who, wish }));
const goes = weighted(80, fc.record({ do: only("go"), which: fc.nat(9) }));
const acts = weighted(
  25,
  fc.record({ do: only("leave", "leave", "block", "blockLast", "drop", "back", "back"), who }),
);
const passes = weighted(
  15,
  fc.record({ do: only("pass"), ms: fc.constantFrom(100, 500, 2_000, 5_000, 10_000, 20_000) }),
);
const faults = [
  weighted(5, fc.record({ do: only("lose"), which: fc.nat(9) })),
  weighted(
    3,
    fc.constantFrom(
      { do: "cut", from: "n1", to: "n2" } as const,
      { do: "cut", from: "n2", to: "n1" } as const,
    ),
  ),
  weighted(1, fc.record({ do: only("empty") })),
];

test(
  "M1–M8: whatever crosses whatever, in the end all agree, and nobody is stuck",
  { timeout: 600_000 },
  async () => {
    const commands = fc.array(fc.oneof(finds, goes, acts, passes, ...faults), { maxLength: 60, size: "max" });
    const property = fc.asyncProperty(commands, fc.boolean(), async (all, comeBack) => {
      const world = new World({ store: 1_000, link: 4_000 });
      await world.open();
      for (const each of all) await world.run(each);
      if (comeBack) {
        await world.drain();
        for (const visitor of world.visitors) await world.comeBack(visitor);
      }
      await world.pass(120_000, true);
      world.check();
    });
    await fc.assert(property, { numRuns: RUNS });
  },
);

test(
  "M2: who looks for somebody and does nothing else is taken out of no pair",
  { timeout: 600_000 },
  async () => {
    const commands = fc.array(fc.oneof(finds, goes, passes), { maxLength: 40, size: "max" });
    const property = fc.asyncProperty(commands, async (all) => {
      // A claim is told, and confirmed, within the two seconds that it has.
      const world = new World({ store: 500, sure: true, link: 700 });
      await world.open();
      for (const each of all) {
        if (each.do !== "find") await world.run(each);
        else if (world.visitors[each.who]!.view.name !== "paired")
          await world.run({ ...each, wish: { ...each.wish, mode: "video" } });
      }
      await world.pass(120_000, true);
      world.check();
      expect(world.upsets).toEqual([]);
    });
    await fc.assert(property, { numRuns: RUNS });
  },
);
