import { DEFAULT_RULES } from "../../matching/rules.ts";
import type { Holder, Matcher } from "../../matching/matcher.ts";
import type { ModelMatcher } from "../../matching/model.ts";
import type { ServerMessage } from "../../protocol/messages.ts";
import { act } from "./acts.ts";
import { Calm } from "./calm.ts";
import { Chance } from "./chance.ts";
import { FAULTS } from "./faults.ts";
import { brief, Journal } from "./journal.ts";
import { Laws } from "./laws.ts";
import { Links } from "./links.ts";
import { Member } from "./member.ts";
import { SCENES, setWeather } from "./scenes.ts";
import type { Scene } from "./scenes.ts";
import { Store } from "./store.ts";
import { Timeline } from "./timeline.ts";
import { Visitor } from "./visitor.ts";

const NODES = 3;
const VISITORS = 10;
/** How many steps a scene has. */
const SCENE_STEPS = 600;
/** Longer than the grace of a session whose node died, and than the time after which every ticket asks again. */
const REST_MS = 120_000;
/** A page does not wait for ever for a node that says nothing. */
const WELCOME_MS = 5_000;
/** As a page sees that its node has died; and how likely its visitor tries again. */
const NO_STATUS = 1006;
const STAYS = 0.7;
/** What takes longer than this is trouble. */
const SLOW_MS = 100;

/**
 * A small deterministic world: several nodes as they really are, in front of a model of the store and of the links,
 * and visitors who do what they like while everything that can break does. Every law is checked after every step.
 */
export class World {
  readonly rules = DEFAULT_RULES;
  readonly chance: Chance;
  readonly timeline = new Timeline();
  readonly calm = new Calm();
  /** The same as far as the store goes. */
  readonly storeCalm = new Calm();
  readonly journal = new Journal(() => this.timeline.now);
  readonly links: Links;
  readonly store: Store;
  readonly visitors: Visitor[] = [];
  members: Member[] = [];
  /** Whether the store has lost its data since the last rest. */
  wasWiped = false;
  readonly #laws: Laws;
  #names = 0;

  /** @param arbiter what decides in the place of the model, for tests that want it to be wrong */
  constructor(seed: number, arbiter: (model: ModelMatcher) => Matcher = (model) => model) {
    this.chance = new Chance(seed);
    this.links = new Links(this.timeline, this.chance);
    this.store = new Store(this.timeline, this.chance, this.rules, arbiter, {
      onDone: (name, args, result) => this.#onDone(name, args, result),
    });
    this.#laws = new Laws(this);
  }

  get now(): number {
    return this.timeline.now;
  }

  get isCalm(): boolean {
    return this.calm.isCalmSince(this.now);
  }

  /** Plays scenes, each followed by a rest, until that many steps were made. Throws when a law is broken. */
  async run(steps: number): Promise<void> {
    const { chance, journal } = this;
    for (let n = 0; n < NODES; n++) this.startNode();
    while (journal.steps < steps) {
      const name = chance.oneOf(Object.keys(SCENES) as (keyof typeof SCENES)[])!;
      journal.note(`scene: ${name}`);
      const scene: Scene = SCENES[name];
      setWeather(scene, chance, this.store, this.links);
      while (this.visitors.length < VISITORS) this.#newVisitor();
      const until = journal.steps + SCENE_STEPS;
      const tempo = chance.oneOf([3, 30, 300, 1_000])!;
      while (journal.steps < until) {
        await this.#letPass(chance.between(0, 2 * tempo));
        if (chance.happens(scene.fault)) this.#break(scene);
        else act(this);
      }
      await this.#rest();
    }
  }

  // Time

  async #letPass(ms: number): Promise<void> {
    const { timeline, calm, storeCalm, journal } = this;
    let passed = false;
    timeline.after(ms, () => {
      passed = true;
    });
    while (!passed) {
      const before = timeline.now;
      if (!timeline.next()) continue;
      if (this.#isStoreInTrouble()) storeCalm.disturb(timeline.now);
      else storeCalm.passed(before, timeline.now);
      if (this.#isInTrouble()) calm.disturb(timeline.now);
      else calm.passed(before, timeline.now);
      await settled();
      this.#laws.check();
      if (journal.broken) throw journal.broken;
    }
  }

  #isStoreInTrouble(): boolean {
    const { state, weather } = this.store;
    return state !== "up" || weather.breaks > 0 || weather.most > SLOW_MS;
  }

  #isInTrouble(): boolean {
    const { weather, isCut } = this.links;
    return (
      this.#isStoreInTrouble() ||
      weather.loses > 0 ||
      weather.most > SLOW_MS ||
      isCut ||
      this.members.some(({ isPaused }) => isPaused)
    );
  }

  #break({ faults }: Scene): void {
    const fault = this.chance.weighted(faults as Required<typeof faults>);
    this.journal.step(fault);
    this.journal.count(fault);
    FAULTS[fault](this);
  }

  /** Everything is mended, and has the time to come to rest. */
  async #rest(): Promise<void> {
    const { chance, journal, visitors, store, links } = this;
    setWeather(SCENES.calm, chance, store, links);
    store.goOn();
    links.heal();
    for (const member of this.members) if (member.isPaused) member.goOn(chance.happens(0.5));
    while (this.members.filter(({ node }) => !node.isDraining).length < NODES - 1) this.startNode();
    journal.note("everything is mended");
    for (const visitor of visitors) if (!visitor.isConnected && chance.happens(0.5)) this.bring(visitor);
    await this.#letPass(REST_MS);
    this.#laws.checkRest();
    if (journal.broken) throw journal.broken;
    journal.count("rests");
    this.wasWiped = false;
    for (let n = visitors.length - 1; n >= 0; n--) if (!visitors[n]!.isConnected) visitors.splice(n, 1);
  }

  // Who is in it

  startNode(): void {
    const member = new Member(`n${this.#names++}`, this);
    this.members.push(member);
    this.journal.note(`${member.id} starts`);
  }

  kill(member: Member): void {
    this.members = this.members.filter((other) => other !== member);
    member.die();
    this.journal.note(`${member.id} is dead`);
    this.calm.disturb(this.now);
    this.links.leave(member.id);
    for (const visitor of this.visitors) if (visitor.socket?.member === member) visitor.lose(1006);
    if (this.members.length === 0) this.startNode();
  }

  /** The store is restarted without its data. */
  wipeStore(): void {
    this.store.wipe();
    this.wasWiped = true;
    this.calm.disturb(this.now);
    this.storeCalm.disturb(this.now);
    this.#laws.onWiped();
    for (const visitor of this.visitors) {
      visitor.recorded = visitor.known = false;
      if (visitor.belief.state === "paired") visitor.losePlace(); // a pair that is told again has none
    }
  }

  #newVisitor(): void {
    const { chance } = this;
    const name = `v${this.#names++}`;
    const device = chance.happens(0.1) ? "a shared device" : `device of ${name}`;
    const visitor = new Visitor(name, device, {
      now: () => this.now,
      calm: () => this.calm.now,
      onMessage: (from, message) => this.#heard(from, message),
      onSaid: (by, message) => this.#laws.onSaid(by, message),
      onMissed: (session, message) => this.#laws.onMissed(session, message),
      onLost: (from, code) => this.#lost(from, code),
    });
    this.visitors.push(visitor);
    this.bring(visitor);
  }

  /** The visitor connects soon, to any node. */
  bring(visitor: Visitor): void {
    if (visitor.coming) return;
    const { chance, timeline, journal } = this;
    visitor.coming = true;
    timeline.after(chance.between(0, 1_000), () => {
      visitor.coming = false;
      const member = chance.oneOf(this.members)!;
      journal.step(`${visitor.name} connects to ${member.id}`);
      visitor.connect(member);
      const { socket } = visitor;
      timeline.after(WELCOME_MS, () => {
        if (visitor.socket !== socket || visitor.isReady) return;
        journal.note(`${visitor.name} gives ${member.id} up`);
        visitor.disconnect(true);
        this.bring(visitor);
      });
    });
  }

  // What happens

  #heard(visitor: Visitor, message: ServerMessage): void {
    if (message.type !== "status") this.journal.note(`${visitor.name} hears ${brief(message)}`);
    this.#laws.onMessage(visitor, message);
  }

  #lost(visitor: Visitor, code: number): void {
    this.journal.note(`${visitor.name} is cut off with ${code}`);
    this.#laws.onLost(visitor, code);
    if (code !== NO_STATUS || this.chance.happens(STAYS)) this.bring(visitor);
  }

  #onDone(name: keyof Matcher, args: unknown[], result: unknown): void {
    if (name === "renew" || name === "reap") return;
    this.journal.step(`${this.#who(args[0])}: ${name} ${brief(args.slice(1))} → ${brief(result)}`);
    this.#laws.onDone(name, args, result);
  }

  /** The holder or session of a call, as a line says it. */
  #who(who: unknown): string {
    if (typeof who === "string") return this.#nameOf(who);
    const { session, node, epoch } = who as Holder;
    return `${this.#nameOf(session)} ${node}#${epoch}`;
  }
  #nameOf(session: string): string {
    return this.visitors.find((one) => one.session === session)?.name ?? session;
  }
}

/** Everything that was under way within this turn of the event loop is done. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
