import { REPORT_AFTER_END_MS } from "../protocol/limits.ts";
import type { Common, Role } from "../protocol/messages.ts";
import type { Find, Left, Match, Outcome, PassedOver } from "../session/match.ts";
import type { Census, Counts, Holder, Matcher, Orphan, Resumed, Rules } from "./matcher.ts";
import { Leases } from "./model-leases.ts";
import { commonOf, inOrderFor, insistence, mayMeet, relaxed } from "./model-tickets.ts";
import type { Ticket } from "./model-tickets.ts";
import { DeviceTimes } from "./model-times.ts";
import { MOST_BLOCKS, MOST_PLACES, REAP_MOST } from "./rules.ts";

interface Pair {
  id: string;
  role: Role;
  partner: string;
  common: Common;
}
/** A session: paired if it has a pair, else waiting if it has a ticket, else idle. A pair keeps the ticket it came from. */
interface Session extends Holder {
  ticket?: Ticket;
  pair?: Pair;
  last?: { pair: string; device: string; at: number };
  /** There once its node was found dead: when its grace is over. */
  doomed?: number;
}

export interface ModelOptions {
  rules: Rules;
  now: () => number;
  newPair: () => string;
  /** Blocks of one device, the newest stay. */
  mostBlocks?: number;
  /** Sessions of one device that wait or are in a pair. */
  mostPlaces?: number;
}

/** `again`: the chosen one is a recent partner, who gave way (M4). */
interface Choice {
  chosen?: Session;
  again?: boolean;
  passed: PassedOver;
  apartFor: number;
}

const HEAL = 30_000;
const HEAL_EACH = 4_000;
const UNREACHABLE = 1_000;
const byName = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/**
 * The specification of the matcher: rules M1–M8 as plain code that scans everybody, in one process. The tests hold the
 * Lua against it, answer by answer; it also stands in for Redis where a test wants none.
 */
export class ModelMatcher implements Matcher {
  readonly #rules: Rules;
  readonly #options: ModelOptions;
  readonly #leases: Leases;
  readonly #sessions = new Map<string, Session>();
  /** M4: when the pair of two devices ended. */
  readonly #recents = new DeviceTimes();
  /** M3: until when a device has blocked another. */
  readonly #blocks = new DeviceTimes();

  constructor(options: ModelOptions) {
    this.#rules = options.rules;
    this.#options = options;
    this.#leases = new Leases(options.now);
  }

  /** What it knows of every session, for tests that look. */
  get sessions(): ReadonlyMap<string, Readonly<Session>> {
    return this.#sessions;
  }

  async open(holder: Holder): Promise<void> {
    if (!this.#sessions.has(holder.session)) this.#record({ ...holder });
  }

  async resume(session: string, node: string, here = false): ReturnType<Matcher["resume"]> {
    const found = this.#sessions.get(session);
    if (!found || (here && found.node !== node)) return null;
    const previousNode = found.node;
    this.#hold(found, node, found.node === node ? found.epoch : found.epoch + 1);
    delete found.ticket?.insists;
    const { epoch, device, ticket } = found;
    const partner = this.#partner(found);
    let resumed: Resumed = { state: "idle" };
    if (partner) resumed = { state: "paired", match: this.#match(found, partner) };
    else if (found.pair) this.#becomeIdle(found);
    else if (ticket) resumed = { state: "waiting", wish: ticket.wish, since: ticket.since };
    return { holder: { session, node, epoch, device }, previousNode, resumed };
  }

  async restore(holder: Holder, match?: Match): ReturnType<Matcher["restore"]> {
    const inPair = (partner: Session | undefined): Awaited<ReturnType<Matcher["restore"]>> =>
      partner
        ? { restored: "held", there: { node: partner.node, epoch: partner.epoch } }
        : { restored: "alone" };
    const known = this.#held(holder);
    if (known === "superseded") return { restored: known };
    if (known && match && known.pair?.id !== match.pair) return { restored: "over" };
    if (known && !match) return { restored: known.ticket ? "over" : "held" };
    if (known) return inPair(this.#partner(known));
    const session: Session = { ...holder };
    this.#record(session);
    if (!match) return { restored: "held" };
    const partner = this.#sessions.get(match.partner.session);
    if (partner && partner.pair?.id !== match.pair) return { restored: "over" };
    const { pair: id, role, common, mode } = match;
    session.pair = { id, role, common, partner: match.partner.session };
    session.ticket = { wish: { mode, interests: [], languages: [], strict: false }, since: this.#now };
    return inPair(partner);
  }

  async undo(holder: Holder, pair: string, find: Find, avoid?: readonly string[]): Promise<Outcome> {
    return this.find(holder, find, avoid, pair);
  }

  /** @param undoing the pair that was not to be (M2); only `undo` gives it */
  async find(holder: Holder, find: Find, avoid: readonly string[] = [], undoing?: string): Promise<Outcome> {
    if (!this.#leases.isAlive(holder.node)) return { kind: "fenced" };
    const known = this.#held(holder);
    if (known === "superseded") return { kind: "superseded" };
    const me: Session = known ?? { ...holder };
    this.#record(me);
    // Who has a place keeps it, also when only its node still knows of it.
    const placed = me.ticket !== undefined || find.since !== undefined;
    if (!placed && this.#places(me.device) >= (this.#options.mostPlaces ?? MOST_PLACES)) {
      return { kind: "crowded" };
    }
    const before = this.#outOfPair(me, find, undoing);
    if (before.claimed) return { kind: "claimed", match: before.claimed };
    const left = before.left && { left: before.left };

    const [now, { wish }] = [this.#now, find];
    const since = Math.min(before.since ?? now, now);
    const waited = now - since;
    me.ticket = { wish, since };
    const { givesIn, ...insists } = insistence(me.ticket, waited, this.#rules);
    me.ticket.insists = insists;

    const { chosen, again, passed, apartFor } = this.#choose(me, avoid);
    const gaveWay = relaxed(me.ticket);
    if (chosen) {
      const partnerWaited = now - chosen.ticket!.since;
      if (again) gaveWay.push("recent");
      const match = this.#claim(me, chosen);
      return { kind: "matched", match, waited, partnerWaited, relaxed: gaveWay, ...left, passed };
    }
    const { recentAfter, recentFor } = this.#rules;
    if (waited >= recentAfter && this.#recents.newest(me.device) + recentFor > now) gaveWay.push("recent");
    const recentIn = waited < recentAfter ? recentAfter - waited : Infinity;
    const heal = HEAL + HEAL_EACH * (passed.device + passed.blocked + passed.recent);
    const retryIn = Math.min(heal, apartFor, givesIn, recentIn);
    return { kind: "waiting", since, relaxed: gaveWay, retryIn, ...left, passed };
  }

  /** Undoes the pair there is (M2), leaves it (Next), or says that it is somebody's claim. `since` is the old place. */
  #outOfPair(me: Session, find: Find, undoing?: string): { since?: number; left?: Left; claimed?: Match } {
    const partner = this.#partner(me);
    if (me.pair && me.pair.id === undoing) {
      delete me.pair;
      delete partner?.pair;
      const left = partner && this.#left(undoing, partner);
      return { since: me.ticket?.since ?? find.since, ...(left && { left }) };
    } else if (me.pair && me.pair.id === find.leaving) {
      return { left: this.#part(me) };
    } else if (me.pair) {
      if (partner) return { claimed: this.#match(me, partner) };
      this.#becomeIdle(me);
    }
    return { since: me.ticket?.since ?? find.since };
  }

  /** M3–M5: who is to be taken, why others before were not, and for how long yet the first of those may not be. */
  #choose(me: Session, avoid: readonly string[]): Choice {
    const [now, { recentAfter, recentFor }] = [this.#now, this.#rules];
    const passed = { device: 0, blocked: 0, recent: 0, gone: 0, unreachable: 0 };
    let apartFor = Infinity;
    let relented: Session | undefined;
    for (const other of this.#candidates(me)) {
      // For how long yet, if for more than 0 ms.
      const blocked = this.#blocks.between(me.device, other.device) - now;
      const recent = this.#recents.between(me.device, other.device) + recentFor - now;
      if (!this.#leases.isAlive(other.node)) {
        passed.gone++;
        delete other.ticket!.insists;
      } else if (avoid.includes(other.node)) {
        passed.unreachable++;
        apartFor = Math.min(apartFor, UNREACHABLE);
      } else if (other.device === me.device) {
        passed.device++;
      } else if (blocked > 0) {
        passed.blocked++;
        apartFor = Math.min(apartFor, blocked);
      } else if (recent > 0) {
        passed.recent++;
        apartFor = Math.min(apartFor, recent);
        const youngest = Math.max(me.ticket!.since, other.ticket!.since);
        if (now - youngest >= recentAfter) relented ??= other;
      } else {
        return { chosen: other, passed, apartFor };
      }
    }
    if (relented) passed.recent--;
    return { chosen: relented, again: true, passed, apartFor };
  }

  /** M5, M6: whose preferences allow it, in the order in which they are to be taken. */
  #candidates(me: Session): Session[] {
    const mine = me.ticket!;
    const inOrder = inOrderFor(mine);
    return [...this.#sessions.values()]
      .filter((other) => other !== me && other.ticket && mayMeet(mine, other.ticket))
      .sort((a, b) => inOrder(a.ticket!, b.ticket!) || byName(a.session, b.session));
  }

  /** M1 */
  #claim(me: Session, other: Session): Match {
    const common = commonOf(me.ticket!, other.ticket!);
    const id = this.#options.newPair();
    me.pair = { id, role: "offerer", partner: other.session, common };
    other.pair = { id, role: "answerer", partner: me.session, common };
    delete me.ticket!.insists;
    delete other.ticket!.insists;
    return this.#match(me, other);
  }

  async absent(holder: Holder): Promise<void> {
    const me = this.#held(holder);
    if (me && me !== "superseded") delete me.ticket?.insists;
  }

  async leave(holder: Holder): ReturnType<Matcher["leave"]> {
    const me = this.#held(holder);
    if (!me || me === "superseded") return me;
    if (me.pair) return this.#part(me);
    delete me.ticket;
    return undefined;
  }

  async block(holder: Holder, pair: string): ReturnType<Matcher["block"]> {
    const me = this.#held(holder);
    if (me === "superseded") return me;
    if (!me) return null;
    const left = me.pair?.id === pair ? this.#part(me) : undefined;
    if (me.last?.pair !== pair || this.#now - me.last.at > REPORT_AFTER_END_MS) return null;
    const partnerDevice = me.last.device;
    const most = this.#options.mostBlocks ?? MOST_BLOCKS;
    this.#blocks.keep(me.device, partnerDevice, this.#now + this.#rules.blockFor, most);
    return { partnerDevice, ...(left && { left }) };
  }

  async end(holder: Holder): ReturnType<Matcher["end"]> {
    const left = await this.leave(holder);
    if (left !== "superseded") this.#sessions.delete(holder.session);
    return left;
  }

  async renew(node: string, counts: Counts): ReturnType<Matcher["renew"]> {
    const heldSince = this.#leases.renew(node, this.#rules.lease, counts);
    const total = { online: 0, waiting: 0 };
    const nodes: string[] = [];
    const dead: string[] = [];
    for (const { node: name, lease, online, waiting } of this.#leases.loads()) {
      if (lease > 0) {
        nodes.push(name);
        total.online += online;
        total.waiting += waiting;
      } else if ([...this.#sessions.values()].some((session) => session.node === name)) {
        dead.push(name);
      } else {
        this.#leases.forget(name);
      }
    }
    return { total, nodes, dead, heldSince };
  }

  async retire(node: string): Promise<void> {
    this.#leases.retire(node);
  }

  async reap(node: string): ReturnType<Matcher["reap"]> {
    if (this.#leases.isAlive(node)) return { orphans: [], more: false };
    const now = this.#now;
    const due = [...this.#sessions.values()]
      .filter((session) => session.node === node && (session.doomed ?? 0) <= now)
      .sort((a, b) => (a.doomed ?? 0) - (b.doomed ?? 0) || byName(a.session, b.session));
    const orphans: Orphan[] = [];
    for (const session of due.slice(0, REAP_MOST)) {
      const partner = this.#partner(session);
      if (partner) {
        const where = { session: partner.session, node: partner.node };
        orphans.push({ pair: session.pair!.id, partner: where, ended: session.doomed !== undefined });
      }
      if (session.doomed === undefined) {
        session.doomed = now + this.#rules.grace;
        delete session.ticket?.insists;
      } else {
        if (session.pair) this.#part(session);
        this.#sessions.delete(session.session);
      }
    }
    return { orphans, more: due.length > REAP_MOST };
  }

  async census(top: number): Promise<Census> {
    const waiting = { video: 0, text: 0 };
    const wished = new Map<string, number>();
    for (const { ticket } of this.#sessions.values()) {
      if (!ticket?.insists) continue;
      waiting[ticket.wish.mode]++;
      for (const interest of ticket.wish.interests) wished.set(interest, (wished.get(interest) ?? 0) + 1);
    }
    const interests = [...wished]
      .map(([interest, count]) => ({ interest, waiting: count }))
      .sort((a, b) => b.waiting - a.waiting || byName(b.interest, a.interest));
    return { waiting, interests: interests.slice(0, top), nodes: this.#leases.loads() };
  }

  get #now(): number {
    return this.#options.now();
  }

  /** T7: how many sessions of a device wait or are in a pair. */
  #places(device: string): number {
    return [...this.#sessions.values()].filter((one) => one.device === device && one.ticket).length;
  }

  /** The session if the caller holds it. A higher epoch than ours is a takeover that was lost: it counts. */
  #held({ session, node, epoch }: Holder): Session | "superseded" | undefined {
    const known = this.#sessions.get(session);
    if (!known) return undefined;
    const current = known.epoch === epoch && known.node === node;
    if (!current && epoch <= known.epoch) return "superseded";
    this.#hold(known, node, epoch);
    return known;
  }

  #hold(session: Session, node: string, epoch: number): void {
    session.node = node;
    session.epoch = epoch;
    delete session.doomed;
    this.#record(session);
  }

  #record(session: Session): void {
    this.#sessions.set(session.session, session);
    this.#leases.list(session.node);
  }

  /** The pair's other side, unless it is in this pair no more. */
  #partner({ pair }: Session): Session | undefined {
    const partner = pair && this.#sessions.get(pair.partner);
    return partner?.pair?.id === pair?.id ? partner : undefined;
  }

  #match({ pair, ticket }: Session, { session, node, epoch }: Session): Match {
    const { id, role, common } = pair!;
    return { pair: id, mode: ticket!.wish.mode, role, partner: { session, node, epoch }, common };
  }

  #becomeIdle(session: Session, partner?: Session): void {
    if (partner) session.last = { pair: session.pair!.id, device: partner.device, at: this.#now };
    delete session.pair;
    delete session.ticket;
  }

  /** Ends a pair on both sides, who then count as recent partners (M4). */
  #part(me: Session): Left | undefined {
    const partner = this.#partner(me);
    const pair = me.pair!.id;
    this.#becomeIdle(me, partner);
    if (!partner) return undefined;
    this.#becomeIdle(partner, me);
    this.#recents.keep(me.device, partner.device, this.#now, this.#rules.recentMost);
    this.#recents.keep(partner.device, me.device, this.#now, this.#rules.recentMost);
    return this.#left(pair, partner);
  }

  #left(pair: string, { session, node }: Session): Left {
    return { pair, partner: { session, node } };
  }
}
