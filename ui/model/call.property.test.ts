import fc from "fast-check";
import { expect, test } from "vitest";
import { TwoPages } from "./testing/two-pages.ts";

test("whatever happens for a while, the two end connected to each other, with nothing left over", async () => {
  const role = fc.constantFrom("offerer" as const, "answerer" as const);
  const event = fc.oneof(
    fc.record({ kind: fc.constant("reload" as const), role }),
    fc.record({ kind: fc.constant("socket" as const), role, up: fc.boolean() }),
    fc.record({
      kind: fc.constant("cut" as const),
      state: fc.constantFrom("disconnected" as const, "failed" as const),
    }),
    fc.record({ kind: fc.constant("deaf" as const), role }),
    fc.record({ kind: fc.constant("hangs" as const), hangs: fc.boolean() }),
    fc.record({ kind: fc.constant("mozilla" as const), mozilla: fc.boolean() }),
    fc.record({ kind: fc.constant("works" as const), works: fc.boolean() }),
    fc.record({ kind: fc.constant("latency" as const), ms: fc.integer({ min: 0, max: 2_000 }) }),
    fc.record({ kind: fc.constant("loses" as const), every: fc.integer({ min: 0, max: 4 }) }),
  );
  const script = fc.array(fc.record({ after: fc.integer({ min: 0, max: 4_000 }), event }), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(script, fc.boolean(), async (steps, onBoard) => {
      const run = new TwoPages();
      if (onBoard) {
        const spare = run.offerer.newPeer();
        const offer = await spare.offer();
        run.offerer.begin({ kind: "matched", spare, offerUsed: true });
        run.answerer.begin({ kind: "matched", spare: null, offerUsed: false, offer });
        await spare.gather();
      } else {
        run.match();
      }
      let count = 0;
      for (const { after, event: happens } of steps) {
        await run.clock.pass(after);
        if (happens.kind === "reload") run[happens.role].reload();
        if (happens.kind === "socket") run[happens.role].setReachable(happens.up);
        if (happens.kind === "cut") run.network.cut(happens.state);
        const connection = happens.kind === "deaf" ? run[happens.role].connection : undefined;
        if (connection) connection.deaf = true;
        if (happens.kind === "hangs") run.network.hangs = happens.hangs;
        if (happens.kind === "mozilla") run.network.mozilla = happens.mozilla;
        if (happens.kind === "works") run.network.works = happens.works;
        if (happens.kind === "latency") run.latency = happens.ms;
        if (happens.kind === "loses") run.loses = () => happens.every > 0 && count++ % happens.every === 0;
      }
      Object.assign(run, { latency: 10, loses: () => false });
      Object.assign(run.network, { hangs: false, works: true });
      for (const page of [run.offerer, run.answerer]) page.setReachable(true);
      await run.clock.pass(60_000);
      expect(run.connected).toBe(true);
      expect(run.network.open).toHaveLength(2);
      expect(run.clock.pending).toBe(2); // their beats
      expect(run.offerer.call.remembered.generation).toBe(run.answerer.call.remembered.generation);
    }),
    { seed: 7, numRuns: 300 },
  );
});
