/** What pages tell of their calls: counted, and nothing else. */
import { describe, expect, test } from "vitest";
import { places } from "./place.ts";

const open = places();

describe.each([1, 3])("on %i node(s)", (nodes) => {
  test("each side of a pair counts once, and its partner hears nothing of it", async () => {
    const place = await open({ nodes });
    const [alice, bob, pair] = await place.pair();
    const way = { local: "host", remote: "srflx", transport: "udp" } as const;
    for (const visitor of [alice, bob, alice]) {
      visitor.send({ type: "quality", pair, outcome: "connected", way, firstFrame: 250 });
      visitor.send({ type: "ping" });
      expect(await visitor.next("pong")).toEqual({ type: "pong" });
      expect(visitor.inbox).toEqual([]);
    }
    const carol = await place.visitor();
    carol.send({ type: "quality", pair, outcome: "failed", cause: "no_way_through" });
    carol.send({ type: "ping" });
    await carol.next("pong");
    expect(carol.inbox).toEqual([]);

    const texts = await Promise.all(place.nodes.map((node) => node.metrics()));
    const sum = (name: string) =>
      texts
        .flatMap((text) => text.split("\n").filter((line) => line.startsWith(`${name} `)))
        .reduce((total, line) => total + Number(line.slice(name.length)), 0);
    expect(sum('chatrandom_calls_total{outcome="connected",cause="none"}')).toBe(2);
    expect(sum('chatrandom_call_candidates_total{local="host",remote="srflx",transport="udp"}')).toBe(2);
    expect(sum("chatrandom_call_first_frame_seconds_count")).toBe(2);
    expect(texts.join("\n")).not.toContain('outcome="failed",cause="no_way_through"');
  });
});
