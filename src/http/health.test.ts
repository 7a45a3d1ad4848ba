import { expect, onTestFinished, test, vi } from "vitest";
import { clientOf } from "./client.ts";
import type { Health } from "./health.ts";
import { createMetrics, type TestedServer } from "./metrics.ts";
import { startHttp } from "./server.ts";

const error = vi.fn();

async function serve(health: Partial<Health>): Promise<string> {
  const all: Health = {
    notReady: () => [],
    metrics: async () => ({ contentType: "text/plain", text: "" }),
    ...health,
  };
  const server = await startHttp(
    { health: all, client: clientOf([], []), upgrade: () => {}, pageFiles: [], log: { error } },
    "127.0.0.1",
    0,
  );
  onTestFinished(() => server.close());
  return `http://127.0.0.1:${server.port}`;
}

test("healthz is 200 while the process lives, ready or not", async () => {
  const origin = await serve({ notReady: () => ["redis"] });
  const answer = await fetch(`${origin}/healthz`);
  expect(answer.status).toBe(200);
  expect(await answer.json()).toEqual({ alive: true });
  expect(answer.headers.get("cache-control")).toBe("no-store");
});

test("readyz is 200, or 503 with the reasons, as of now", async () => {
  let reasons: string[] = [];
  const origin = await serve({ notReady: () => reasons });
  const ready = async () => {
    const answer = await fetch(`${origin}/readyz`);
    expect(answer.headers.get("content-type")).toContain("application/json");
    expect(answer.headers.get("cache-control")).toBe("no-store");
    return [answer.status, await answer.json()];
  };
  expect(await ready()).toEqual([200, { ready: true, reasons: [] }]);
  reasons = ["draining", "redis"];
  expect(await ready()).toEqual([503, { ready: false, reasons: ["draining", "redis"] }]);
});

test("readyz tells details, which make nobody unready", async () => {
  const relay = { ok: false, servers: [{ url: "turn:relay.example", outcome: "fails" }] };
  const origin = await serve({ details: async () => ({ relay }) });
  const answer = await fetch(`${origin}/readyz`);
  expect([answer.status, await answer.json()]).toEqual([
    200,
    { ready: true, reasons: [], details: { relay } },
  ]);
});

test("metrics has the relay's last test, server by server", async () => {
  const metrics = createMetrics(() => ({ connections: 0, sessions: 0, waiting: 0, pairedSessions: 0 }));
  let servers: TestedServer[] = [];
  metrics.watchRelayTest(() => servers);
  expect((await metrics.text()).text).not.toMatch(/^chatrandom_relay_test_ok/m);
  servers = [
    { url: "turn:a", outcome: "works", ms: 12 },
    { url: "turn:b", outcome: "fails", ms: 5_000 },
    { url: "turns:c", outcome: "limited", ms: 40 },
  ];
  const { text } = await metrics.text();
  for (const line of [
    'chatrandom_relay_test_ok{url="turn:a"} 1',
    'chatrandom_relay_test_ok{url="turn:b"} 0',
    'chatrandom_relay_test_ok{url="turns:c"} 1',
    'chatrandom_relay_test_seconds{url="turn:a"} 0.012',
    'chatrandom_relay_test_seconds{url="turn:b"} 5',
  ]) {
    expect(text).toContain(`\n${line}\n`);
  }
  // Another node's relay is gone with it.
  servers = servers.slice(0, 1);
  const later = (await metrics.text()).text;
  expect(later).toContain('chatrandom_relay_test_ok{url="turn:a"} 1\n');
  expect(later).not.toContain("turn:b");
});

test("HEAD on the health paths answers without a body", async () => {
  const origin = await serve({ notReady: () => ["redis"] });
  for (const [path, status] of [
    ["healthz", 200],
    ["readyz", 503],
    ["metrics", 200],
  ] as const) {
    const answer = await fetch(`${origin}/${path}`, { method: "HEAD" });
    expect(answer.status).toBe(status);
    expect(await answer.text()).toBe("");
  }
});

test("metrics has what the protocol names, in Prometheus text", async () => {
  const metrics = createMetrics(() => ({ connections: 3, sessions: 5, waiting: 1, pairedSessions: 4 }));
  metrics.matched("video", 1_500, 20);
  metrics.signalRelayed("local");
  metrics.signalRelayed("local");
  metrics.signalRelayed("link");
  metrics.linkLost(7);
  metrics.reported();
  const way = { local: "relay", remote: "srflx", transport: "tls" } as const;
  metrics.called({
    type: "quality",
    pair: "p",
    outcome: "connected",
    way,
    firstFrame: 400,
    interrupted: true,
  });
  metrics.called({ type: "quality", pair: "p", outcome: "failed", cause: "no_way_through" });
  const origin = await serve({ metrics: () => metrics.text() });
  const answer = await fetch(`${origin}/metrics`);
  expect(answer.headers.get("content-type")).toMatch(/^text\/plain; version=0\.0\.4/);
  const lines = (await answer.text()).split("\n");
  for (const line of [
    "chatrandom_connections 3",
    "chatrandom_sessions_waiting 1",
    "chatrandom_pairs_active 2",
    'chatrandom_matches_total{mode="video"} 1',
    "# TYPE chatrandom_match_wait_seconds histogram",
    "chatrandom_match_wait_seconds_count 2",
    'chatrandom_match_wait_seconds_bucket{le="0.05"} 1',
    'chatrandom_signals_relayed_total{route="local"} 2',
    'chatrandom_signals_relayed_total{route="link"} 1',
    "chatrandom_link_messages_lost_total 7",
    "chatrandom_reports_total 1",
    'chatrandom_calls_total{outcome="connected",cause="none"} 1',
    'chatrandom_calls_total{outcome="failed",cause="no_way_through"} 1',
    'chatrandom_call_candidates_total{local="relay",remote="srflx",transport="tls"} 1',
    'chatrandom_call_first_frame_seconds_bucket{le="0.5"} 1',
    'chatrandom_calls_interrupted_total{moved="false"} 1',
  ]) {
    expect(lines).toContain(line);
  }
});

test("every metric the protocol names is there before anything has happened", async () => {
  const text = (
    await createMetrics(() => ({ connections: 0, sessions: 0, waiting: 0, pairedSessions: 0 })).text()
  ).text;
  for (const name of [
    "chatrandom_connections 0",
    "chatrandom_sessions_waiting 0",
    "chatrandom_pairs_active 0",
    'chatrandom_matches_total{mode="video"} 0',
    'chatrandom_matches_total{mode="text"} 0',
    "chatrandom_match_wait_seconds_count 0",
    'chatrandom_signals_relayed_total{route="local"} 0',
    'chatrandom_signals_relayed_total{route="link"} 0',
    "chatrandom_link_messages_lost_total 0",
    "chatrandom_reports_total 0",
    'chatrandom_calls_total{outcome="connected",cause="none"} 0',
    "chatrandom_call_first_frame_seconds_count 0",
  ]) {
    expect(text).toContain(`\n${name}\n`);
  }
});

test("a fault in the metrics is a 500 that says nothing of the inside", async () => {
  const origin = await serve({ metrics: () => Promise.reject(new Error("secret of the inside")) });
  const answer = await fetch(`${origin}/metrics`);
  expect(answer.status).toBe(500);
  expect(await answer.text()).toBe("Something went wrong here.\n");
  expect(error).toHaveBeenCalledExactlyOnceWith({ err: expect.any(Error) }, expect.any(String));
});
