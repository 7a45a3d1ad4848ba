/**
 * Several sessions on two nodes, the matcher's specification between them, and every call, answer and note as late as
 * fast-check likes. Answers and notes get lost, nodes die, the store forgets: in the end all of them agree.
 * `CHATRANDOM_SESSION_RUNS` says how many sequences (1,000 by default), `CHATRANDOM_SEED` which; a failure prints the shortest.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { mayMeet } from "../matching/model-tickets.ts";
import { ModelMatcher } from "../matching/model.ts";
import { DEFAULT_RULES } from "../matching/rules.ts";
import { ask } from "../node/ask.ts";
import type { ClientMessage } from "../protocol/messages.ts";
import type { Answer, Call } from "./call.ts";
import type { Effect, TimerName } from "./effect.ts";
import type { Event } from "./event.ts";
import { asTheySee } from "./match.ts";
import type { Partner, Wish } from "./match.ts";
import type { Note } from "./note.ts";
import { RULES } from "./play.ts";
import { isEnding, newSession, restoredSession } from "./session.ts";
import type { Session } from "./session.ts";
import { step } from "./step.ts";

const RUNS = Number(process.env.CHATRANDOM_SESSION_RUNS ?? 1_000);
const NODES = 2;
/** The last two are windows of one device. */
const VISITORS = 5;
const deviceOf = (visitor: number): string => `d${Math.min(visitor, 3)}`;

type Command =
  | { do: "find"; who: number; wish: Wish }
  | { do: "leave" | "block" | "blockLast" | "drop"; who: number }
  /** With the session that they had, or with a new one when that is over. */
  | { do: "back"; who: number; node: number }
  /** Something that is under way gets on: a call reaches the store, an answer or a note arrives. */
  | { do: "go"; which: number }
  /** The answer to a call is lost; all that a node has said to the other one is lost; the store loses everything. */
  | { do: "lose"; which: number }
  | { do: "cut"; from: number; to: number }
  | { do: "empty" }
  /** A node dies, and another one takes its place. */
  | { do: "kill"; node: number }
  | { do: "pass"; ms: number };

/** What a page believes. */
type View = { name: "idle" | "searching" } | { name: "paired"; pair: string; undone?: boolean };

/** A session on one of the nodes. */
interface Seat {
  readonly node: string;
  session: Session;
  readonly timers: Map<TimerName, number>;
  /** The call under way, and its answer once the store has done it. */
  call?: Asked;
  /** Calls that were given up and that the store may do yet, before any later one. */
  late: Call[];
  /** By when the node notices that the connection is gone. */
  dropped?: number;
}

interface Visitor {
  readonly device: string;
  /** Their newest session. */
  id: string;
  /** Where they are connected. */
  seat?: Seat;
  view: View;
  lastPair?: string;
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

type Said =
  | { readonly to: string; readonly from: Partner; readonly note: Note }
  /** Another node holds this session now. */
  | { readonly to: string; readonly epoch: number };
/** What is on its way to a node, and by when it arrives. */
type Sent = Said & { readonly node: string; readonly by: number };

class World {
  now = 1_750_000_000_000;
  readonly visitors: Visitor[] = [];
  /** What visitors were told that two who did nothing are not to be told. */
  readonly upsets: string[] = [];
  matcher!: ModelMatcher;
  readonly #delays: Delays;
  readonly #seats = new Set<Seat>();
  /** The living ones by their names, and when somebody looks after the dead ones. */
  readonly #nodes: string[] = [];
  readonly #reaps: { at: number; node: string }[] = [];
  #started = 0;
  #sessions = 0;
  #pairs = 0;
  /** From node to node, in order. */
  readonly #links = new Map<string, Sent[]>();
  /** Within a node, which takes no time. */
  readonly #here: Sent[] = [];
  #delivering = false;
  readonly #blocked = new Set<string>();

  constructor(delays: Delays) {
    this.#delays = delays;
  }

  async open(): Promise<void> {
    for (let n = 0; n < NODES; n++) this.#nodes.push(`n${++this.#started}`);
    await this.#newStore();
    for (let n = 0; n < VISITORS; n++) {
      const visitor: Visitor = { device: deviceOf(n), id: "", view: { name: "idle" } };
      this.visitors.push(visitor);
      this.#openFresh(visitor, this.#nodes[n % NODES]!);
    }
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
        this.#lose(command.which);
        break;
      case "cut":
        this.#cut(this.#nodes[command.from]!, this.#nodes[command.to]!);
        break;
      case "kill":
        await this.#kill(command.node);
        break;
      case "empty":
        // An older holder that has not heard of a takeover yet could write itself into the empty store.
        for (const link of this.#links.values())
          while (link.some((sent) => "epoch" in sent)) this.#deliver(link);
        await this.#newStore();
        for (const seat of this.#seats) this.#step(seat, { type: "forgotten" });
        break;
      case "back":
        await this.comeBack(this.visitors[command.who]!, command.node);
        break;
      default:
        this.#act(this.visitors[command.who]!, command);
    }
  }

  // What visitors do

  #act(visitor: Visitor, command: Extract<Command, { who: number }>): void {
    const { view, seat, lastPair } = visitor;
    if (!seat) return;
    switch (command.do) {
      case "find":
        visitor.view = { name: "searching" };
        this.#say(seat, { type: "find", mode: command.wish.mode }, command.wish);
        break;
      case "leave":
        visitor.view = { name: "idle" };
        this.#say(seat, { type: "leave" });
        break;
      case "block":
        if (view.name !== "paired") return;
        visitor.view = { name: "idle" };
        this.#say(seat, { type: "block", pair: view.pair });
        break;
      case "blockLast":
        if (lastPair && (view.name !== "paired" || view.pair !== lastPair))
          this.#say(seat, { type: "block", pair: lastPair });
        break;
      case "drop":
        delete visitor.seat;
        seat.dropped = this.now + this.#delays.link;
        break;
    }
  }

  /** As the door does it. */
  async comeBack(visitor: Visitor, where: number): Promise<void> {
    if (visitor.seat) return;
    const [{ id }, node] = [visitor, this.#nodes[where]!];
    const found = await this.matcher.resume(id, node);
    let seat = this.#seatOf(id, node);
    if (seat && isEnding(seat.session)) seat = undefined;
    if (!found) {
      if (seat) this.#attach(visitor, seat, true);
      else this.#openFresh(visitor, node);
      return;
    }
    const { holder, previousNode, resumed } = found;
    if (seat?.session.epoch !== holder.epoch) {
      const older = this.#seatOf(id, node);
      if (older) this.#step(older, { type: "superseded", late: false });
      seat = this.#add(node, restoredSession(id, holder.device, holder.epoch, resumed));
      if (previousNode !== node) this.#send(node, previousNode, { to: id, epoch: holder.epoch });
      if (resumed.state === "paired")
        this.#tell(seat, resumed.match.partner, {
          type: "matched",
          ...asTheySee(resumed.match),
          epoch: holder.epoch,
        });
    }
    this.#attach(visitor, seat, true);
  }

  #openFresh(visitor: Visitor, node: string): void {
    visitor.id = `s${this.#sessions++}`;
    delete visitor.lastPair;
    this.#attach(visitor, this.#add(node, newSession(visitor.id, visitor.device)), false);
  }

  #attach(visitor: Visitor, seat: Seat, resumed: boolean): void {
    delete seat.dropped;
    visitor.seat = seat;
    this.#step(seat, { type: "attached", resumed, vouched: true });
  }

  #say(seat: Seat, message: ClientMessage, wish?: Wish): void {
    this.#step(seat, { type: "message", message, raw: new Uint8Array(), wish });
  }

  // What happens, late or never

  /** Everything that could happen next. */
  #underWay(): (() => void | Promise<void>)[] {
    const all: (() => void | Promise<void>)[] = [];
    for (const seat of this.#seats) {
      const { call } = seat;
      if (seat.late.length > 0) all.push(() => this.#lateCalls(seat));
      if (call) all.push(() => this.#advance(seat, call));
      if (seat.dropped !== undefined) all.push(() => this.#detach(seat));
    }
    for (const link of this.#links.values()) if (link.length > 0) all.push(() => this.#deliver(link));
    return all;
  }

  async #go(which: number): Promise<boolean> {
    const all = this.#underWay();
    if (all.length === 0) return false;
    await all[which % all.length]!();
    return true;
  }

  async drain(): Promise<void> {
    for (let moved = true; moved;) moved = await this.#go(0);
  }

  /** Time passes, and what is due meanwhile happens; all that is under way besides at once, if it is `quick`. */
  async pass(ms: number, quick = false): Promise<void> {
    const end = this.now + ms;
    for (;;) {
      if (quick) await this.drain();
      const next = this.#dues()
        .filter(({ at }) => at <= end)
        .toSorted((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.now = Math.max(this.now, next.at);
      await next.run();
    }
    this.now = end;
  }

  #dues(): { at: number; run: () => void | Promise<void> }[] {
    const dues: { at: number; run: () => void | Promise<void> }[] = [];
    for (const reap of this.#reaps) {
      const run = (): Promise<void> => {
        this.#reaps.splice(this.#reaps.indexOf(reap), 1);
        return this.#reap(reap);
      };
      dues.push({ at: reap.at, run });
    }
    for (const link of this.#links.values())
      if (link[0]) dues.push({ at: link[0].by, run: () => this.#deliver(link) });
    for (const seat of this.#seats) {
      const { call, dropped } = seat;
      if (dropped !== undefined) dues.push({ at: dropped, run: () => this.#detach(seat) });
      if (call) {
        const run = () => (this.#delays.sure ? this.#advance(seat, call) : this.#giveUp(seat, true));
        dues.push({ at: call.by, run });
      }
      for (const [timer, at] of seat.timers) {
        const run = (): void => {
          seat.timers.delete(timer);
          this.#step(seat, { type: "due", timer });
        };
        dues.push({ at, run });
      }
    }
    return dues;
  }

  /** A call reaches the store, or its answer the session. */
  async #advance(seat: Seat, call: Asked): Promise<void> {
    await this.#lateCalls(seat);
    if (call.answer === undefined) {
      call.answer = await this.#ask(seat, call.call);
      return;
    }
    delete seat.call;
    this.#step(seat, { type: "answer", answer: call.answer });
  }

  #detach(seat: Seat): void {
    delete seat.dropped;
    this.#step(seat, { type: "detached" });
  }

  /** A call whose answer never comes, whether the store has done it, will do it, or never hears of it. */
  #lose(which: number): void {
    const asking = [...this.#seats].filter(({ call }) => call);
    const seat = asking[which % asking.length];
    if (seat) this.#giveUp(seat, which % 2 === 0);
  }

  #giveUp(seat: Seat, arrives: boolean): void {
    const { call, answer } = seat.call!;
    if (!answer && arrives) seat.late.push(call);
    delete seat.call;
    this.#step(seat, { type: "unanswered" });
  }

  async #lateCalls(seat: Seat): Promise<void> {
    for (const call of seat.late.splice(0)) await this.#ask(seat, call);
  }

  /** As the node does it when messages of another one are missing. */
  #cut(from: string, to: string): void {
    if (this.#link(from, to).splice(0).length > 0) this.#missed(from, to);
  }

  #missed(from: string, to: string): void {
    for (const seat of this.#seats) {
      const { state } = seat.session;
      const concerned =
        state.name === "paired" ? state.match.partner.node === from : state.name === "waiting";
      if (seat.node === to && concerned) this.#step(seat, { type: "forgotten" });
    }
  }

  async #kill(which: number): Promise<void> {
    const dead = this.#nodes[which]!;
    const reborn = `n${++this.#started}`;
    this.#nodes[which] = reborn;
    for (const seat of this.#seats) if (seat.node === dead) this.#seats.delete(seat);
    for (const visitor of this.visitors) if (visitor.seat?.node === dead) delete visitor.seat;
    for (const [name, link] of this.#links) if (name.split(" ").includes(dead)) link.splice(0);
    await this.matcher.retire(dead);
    await this.matcher.renew(reborn, { online: 0, waiting: 0 });
    for (const node of this.#nodes) this.#missed(dead, node);
    this.#reaps.push({ at: this.now + 1_000, node: dead });
  }

  /** As a node does it that sees that another one is dead, until nobody is left there. */
  async #reap({ node }: { node: string }): Promise<void> {
    const { dead } = await this.matcher.renew(this.#nodes[0]!, { online: 0, waiting: 0 });
    if (!dead.includes(node)) return;
    this.#reaps.push({ at: this.now + 1_000, node });
    for (const { pair, partner, ended } of (await this.matcher.reap(node)).orphans) {
      const note: Note = ended ? { type: "ended", pair, reason: "lost" } : { type: "refused", pair };
      this.#send(this.#nodes[0]!, partner.node, { to: partner.session, from: { session: "", node }, note });
    }
    this.#deliverHere();
  }

  async #newStore(): Promise<void> {
    this.matcher = new ModelMatcher({
      rules: { ...DEFAULT_RULES, lease: Number.MAX_SAFE_INTEGER / 4 },
      mostPlaces: 1,
      now: () => this.now,
      newPair: () => `p${++this.#pairs}`,
    });
    this.#blocked.clear();
    for (const node of this.#nodes) await this.matcher.renew(node, { online: 0, waiting: 0 });
  }

  async #ask({ session: { id: session, device, epoch }, node }: Seat, call: Call): Promise<Answer> {
    const answer = await ask(this.matcher, { session, device, epoch, node }, call, () => []);
    if ("outcome" in answer && answer.outcome.kind === "matched") {
      const other = this.matcher.sessions.get(answer.outcome.match.partner.session)!;
      const devices = [device, other.device].toSorted();
      expect(new Set(devices).size, "M3: one device with itself").toBe(2);
      expect(this.#blocked, "M3: blocked").not.toContain(devices.join());
    }
    if (answer.name === "block" && answer.blocked && answer.blocked !== "superseded")
      this.#blocked.add([device, answer.blocked.partnerDevice].toSorted().join());
    return answer;
  }

  // What nodes do

  #add(node: string, session: Session): Seat {
    const seat: Seat = { node, session, timers: new Map(), late: [] };
    this.#seats.add(seat);
    return seat;
  }

  #seatOf(id: string, node: string): Seat | undefined {
    return [...this.#seats].find((seat) => seat.session.id === id && seat.node === node);
  }

  #step(seat: Seat, event: Event): void {
    if (!this.#seats.has(seat)) return;
    const { session, effects } = step(seat.session, event, this.now, RULES);
    seat.session = session;
    for (const effect of effects) this.#run(seat, effect);
    this.#deliverHere();
  }

  /** One at a time, as the node does it. */
  #deliverHere(): void {
    if (this.#delivering) return;
    this.#delivering = true;
    while (this.#here.length > 0) this.#deliver(this.#here);
    this.#delivering = false;
  }

  #run(seat: Seat, effect: Effect): void {
    const { session, timers } = seat;
    const visitor = this.visitors.find((one) => one.seat === seat);
    switch (effect.do) {
      case "call":
        expect(seat.call, "one call at a time").toBeUndefined();
        seat.call = { call: effect.call, by: this.now + this.#delays.store };
        break;
      case "timer":
        timers.set(effect.timer, this.now + effect.after);
        break;
      case "cancel":
        timers.delete(effect.timer);
        break;
      case "tell":
        this.#tell(seat, effect.partner, effect.note);
        break;
      case "close":
        if (visitor) delete visitor.seat;
        break;
      case "forget":
        this.#seats.delete(seat);
        break;
      case "count":
        if (effect.what !== "undone") break;
        this.upsets.push(`undone for ${session.id}`);
        if (visitor?.view.name === "paired") visitor.view.undone = true;
        break;
      case "welcome":
      case "waiting":
      case "send":
        if (visitor) this.#hear(visitor, session, effect);
        break;
      default:
        break;
    }
  }

  #hear(
    visitor: Visitor,
    { state, id }: Session,
    effect: Extract<Effect, { do: "welcome" | "waiting" | "send" }>,
  ): void {
    const { view } = visitor;
    // Or in a pair that is taken back without a word.
    const searching = view.name === "searching" || (view.name === "paired" && view.undone);
    if (effect.do === "welcome") {
      if (state.name === "paired") visitor.view = { name: "paired", pair: state.match.pair };
      else visitor.view = { name: state.name === "idle" ? "idle" : "searching" };
    } else if (effect.do === "waiting") {
      expect(searching, `${id} waits and was ${view.name}`).toBe(true);
      visitor.view = { name: "searching" };
    } else if (effect.message.type === "matched") {
      expect(searching, `${id} is matched and was ${view.name}`).toBe(true);
      visitor.view = { name: "paired", pair: effect.message.pair };
      visitor.lastPair = effect.message.pair;
    } else if (effect.message.type === "ended") {
      const { pair, reason } = effect.message;
      expect(view, `${id} hears an end`).toEqual({ name: "paired", pair });
      this.upsets.push(`${pair} ended for ${id}: ${reason}`);
      visitor.view = { name: "idle" };
    } else if (effect.message.type === "error" && effect.message.code === "too_many_sessions") {
      visitor.view = { name: "idle" };
    }
  }

  #tell({ session: { id: session }, node }: Seat, { session: to, node: home }: Partner, note: Note): void {
    this.#send(node, home, { to, from: { session, node }, note });
  }

  #send(from: string, node: string, said: Said): void {
    const link = from === node ? this.#here : this.#link(from, node);
    link.push({ ...said, node, by: this.now + this.#delays.link });
  }

  #link(from: string, to: string): Sent[] {
    const name = `${from} ${to}`;
    const link = this.#links.get(name) ?? [];
    this.#links.set(name, link);
    return link;
  }

  #deliver(link: Sent[]): void {
    const sent = link.shift()!;
    const seat = this.#seatOf(sent.to, sent.node);
    if ("epoch" in sent) {
      if (seat && seat.session.epoch < sent.epoch) this.#step(seat, { type: "superseded", late: false });
    } else if (seat) {
      this.#step(seat, { type: "note", from: sent.from, note: sent.note });
    } else if (sent.note.type === "matched") {
      const { from, note, node, to } = sent;
      const refused = { type: "refused", pair: note.pair } as const;
      this.#send(node, from.node, { to: from.session, from: { session: to, node }, note: refused });
    }
  }

  /** All that must be true once nothing is under way any more. */
  check(): void {
    const here = this.visitors.flatMap(({ seat }) => (seat ? [seat] : []));
    expect(new Set(here), "sessions of nobody").toEqual(this.#seats);
    const ids = here.map(({ session }) => session.id);
    for (const id of this.matcher.sessions.keys()) expect(ids, "the store's sessions").toContain(id);
    for (const { seat, view } of this.visitors) if (seat) this.#checkSeat(seat, view);
    this.#checkNobodyStarves();
  }

  #checkSeat({ session, node, timers }: Seat, view: View): void {
    const { state, id, epoch } = session;
    const stored = this.matcher.sessions.get(id);
    expect([session.calling, ...session.queued], `${id} has asked everything`).toEqual([undefined]);
    if (stored) expect([stored.node, stored.epoch], `where ${id} is`).toEqual([node, epoch]);
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
        expect(state.confirmed, `${id} has heard of the other side`).toBe(true);
        expect(stored?.pair, `${id} is in ${pair}`).toMatchObject({
          id: pair,
          role,
          partner: partner.session,
        });
        expect(view, id).toEqual({ name: "paired", pair });
        const other = this.#seatOf(partner.session, partner.node)?.session.state;
        expect(other, `the other side of ${id}`).toMatchObject({
          name: "paired",
          match: { pair, partner: { session: id, node } },
        });
        break;
      }
    }
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
const acts = weighted(20, fc.record({ do: only("leave", "leave", "block", "blockLast", "drop"), who }));
const node = fc.nat(NODES - 1);
const backs = weighted(10, fc.record({ do: only("back"), who, node }));
const passes = weighted(
  15,
  fc.record({ do: only("pass"), ms: fc.constantFrom(100, 500, 2_000, 5_000, 10_000, 20_000) }),
);
const faults = [
  weighted(5, fc.record({ do: only("lose"), which: fc.nat(9) })),
  weighted(3, fc.record({ do: only("cut"), from: node, to: node })),
  weighted(1, fc.record({ do: only("kill"), node })),
  weighted(1, fc.record({ do: only("empty") })),
];

test(
  "M1–M8: whatever crosses whatever, in the end all agree, and nobody is stuck",
  { timeout: 600_000 },
  async () => {
    const commands = fc.array(fc.oneof(finds, goes, acts, backs, passes, ...faults), {
      maxLength: 60,
      size: "max",
    });
    const property = fc.asyncProperty(commands, fc.boolean(), async (all, comeBack) => {
      const world = new World({ store: 1_000, link: 4_000 });
      await world.open();
      for (const each of all) await world.run(each);
      if (comeBack) {
        await world.drain();
        for (const visitor of world.visitors) await world.comeBack(visitor, 0);
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
