/** Arbiters that are wrong in one thing each. A simulation that believes one of them is worth nothing. */
import type { Holder, Matcher } from "../../matching/matcher.ts";
import type { ModelMatcher } from "../../matching/model.ts";

export const LIES: Record<string, (model: ModelMatcher) => Matcher> = {
  "claims one side only": lying((model) => ({
    async find(...args) {
      const outcome = await model.find(...args);
      if (outcome.kind === "matched") {
        const partner = model.sessions.get(outcome.match.partner.session)!;
        delete (partner as { pair?: unknown }).pair;
      }
      return outcome;
    },
  })),
  "fences nobody by epoch": lying((model) => {
    const current = (holder: Holder): Holder => {
      const { node, epoch } = model.sessions.get(holder.session) ?? holder;
      return { ...holder, node, epoch };
    };
    return {
      absent: (holder) => model.absent(current(holder)),
      leave: (holder) => model.leave(current(holder)),
      end: (holder) => model.end(current(holder)),
      block: (holder, ...more) => model.block(current(holder), ...more),
      restore: (holder, ...more) => model.restore(current(holder), ...more),
      find: (holder, ...more) => model.find(current(holder), ...more),
      undo: (holder, ...more) => model.undo(current(holder), ...more),
    };
  }),
  "lets no lease run out": lying((model) => {
    const nodes = new Set<string>();
    return {
      renew(node, counts) {
        for (const other of nodes) void model.renew(other, counts);
        nodes.add(node);
        return model.renew(node, counts);
      },
    };
  }),
  "files the ticket of an undone match at a new place": lying((model) => ({
    async undo(holder, _pair, { wish }, avoid) {
      await model.leave(holder);
      return model.find(holder, { wish }, avoid);
    },
  })),
  "keeps the ticket of who leaves": lying((model) => ({
    leave: async (holder) => (model.sessions.get(holder.session)?.pair ? model.leave(holder) : undefined),
  })),
  "keeps the ticket of who is absent": lying(() => ({ async absent() {} })),
  "loses the pair of who resumes": lying((model) => ({
    async resume(session, node) {
      const found = await model.resume(session, node);
      return found && { ...found, resumed: { state: "idle" } };
    },
  })),
};

/** The model, except for what the lie says instead. */
function lying(lie: (model: ModelMatcher) => Partial<Matcher>) {
  return (model: ModelMatcher): Matcher => {
    const instead = lie(model);
    return new Proxy(model, {
      get: (_, name: keyof Matcher) => instead[name] ?? model[name].bind(model),
    });
  };
}
