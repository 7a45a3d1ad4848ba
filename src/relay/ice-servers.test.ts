import { createHmac } from "node:crypto";
import { describe, expect, test } from "vitest";
import { loadConfig } from "../config/load.ts";
import type { Came } from "../node/came.ts";
import { relayUserOf } from "./credentials.ts";
import { type OwnRelay, relayIce, type RelayPlace } from "./ice-servers.ts";

const SECRET = "5ecret";
const NOW = Date.UTC(2030, 0, 1);
const HOME: OwnRelay = { hosts: ["192.168.1.20", "fd00::20"], port: 3478, reach: "private", secret: SECRET };
const RENTED: OwnRelay = { hosts: ["8.8.4.4"], port: 3478, reach: "public", secret: SECRET };

interface Given {
  relay?: OwnRelay;
  others?: RelayPlace[];
  came?: Came;
  env?: Record<string, string>;
  session?: string;
  now?: number;
}
const iceOf = ({ relay, others = [], env = {}, now = NOW }: Given) => {
  const { config } = loadConfig({ env });
  return relayIce({ ...config, relay: () => relay, others: () => others, wallClock: () => now });
};
const servers = (given: Given) => iceOf(given).servers(given.session ?? "session", given.came);
const urls = (given: Given) => servers(given).flatMap((server) => server.urls);

describe("credentials", () => {
  const [, turn] = servers({ relay: RENTED });

  test("say until when they are good, and prove it as coturn wants it", () => {
    const [until, user] = turn!.username!.split(":");
    expect(Number(until)).toBe(NOW / 1000 + 12 * 3600);
    expect(user).toBe(relayUserOf(SECRET, "session"));
    const proof = createHmac("sha1", SECRET).update(turn!.username!).digest("base64");
    expect(turn!.credential).toBe(proof);
  });

  test("are those of one user for a session, whenever they are asked for, so that quotas count", () => {
    const userOf = (given: Given) => servers(given)[1]!.username!.split(":")[1];
    expect(userOf({ relay: RENTED, now: NOW + 1e7 })).toBe(userOf({ relay: RENTED }));
    expect(userOf({ relay: RENTED, session: "other" })).not.toBe(userOf({ relay: RENTED }));
  });

  test("S1: do not hold the session's id", () => {
    expect(JSON.stringify(servers({ relay: RENTED, session: "dmlzaXRvcg" }))).not.toContain("dmlzaXRvcg");
  });

  test("are given anew when the relay has moved, and only then", () => {
    const at = (given: Given) => iceOf(given).whereabouts?.();
    expect(at({ relay: HOME, now: NOW + 1e7, others: [RENTED] })).toBe(at({ relay: HOME }));
    expect(at({ relay: { ...HOME, hosts: ["192.168.1.21"] } })).not.toBe(at({ relay: HOME }));
    expect(at({})).not.toBe(at({ relay: HOME }));
  });

  test("are renewed long before they run out; without any nothing is renewed", () => {
    const env = { CHATRANDOM_TURN_CREDENTIAL_LIFETIME: "1h" };
    expect(iceOf({ relay: RENTED, env }).renewEvery).toBe(20 * 60_000);
    expect(iceOf({}).renewEvery).toBeUndefined();
  });
});

describe("the relay is offered", () => {
  test("under the name that the visitor came by, over TLS at the port that he came to", () => {
    const came = { host: "chat.example", tlsPort: 443, proxied: false, lan: false };
    expect(urls({ relay: RENTED, came })).toEqual([
      "stun:chat.example:3478",
      "turn:chat.example:3478?transport=udp",
      "turn:chat.example:3478?transport=tcp",
      "turns:chat.example:443?transport=tcp",
    ]);
    expect(
      urls({ relay: HOME, came: { host: "fd00::20", tlsPort: 8443, proxied: false, lan: false } }),
    ).toContain("turns:[fd00::20]:8443?transport=tcp");
  });

  test("by its addresses to who came over loopback or through a proxy, without TLS of its own", () => {
    const everyway = ([first, ...more]: string[]) => [
      `stun:${first}:3478`,
      `turn:${first}:3478?transport=udp`,
      `turn:${first}:3478?transport=tcp`,
      ...more.map((host) => `turn:${host}:3478?transport=udp`),
    ];
    const here = { host: "localhost", proxied: false, lan: false };
    expect(urls({ relay: HOME, came: here })).toEqual(everyway(["192.168.1.20", "[fd00::20]"]));
    const proxied = { host: "chat.example", proxied: true, lan: false };
    expect(urls({ relay: RENTED, came: proxied })).toEqual(everyway(["8.8.4.4"]));
    // The name may lead here; the private address leads nowhere for sure.
    expect(urls({ relay: HOME, came: proxied })).toEqual(everyway(["chat.example"]));
  });

  test("to nobody else, where only this machine reaches it", () => {
    const relay: OwnRelay = { ...HOME, hosts: ["127.0.0.1"], reach: "this machine" };
    expect(urls({ relay, came: { host: "chat.example", proxied: true, lan: false } })).toEqual([]);
    expect(urls({ relay, came: { host: "localhost", proxied: false, lan: false } })).toContain(
      "turn:127.0.0.1:3478?transport=udp",
    );
  });

  test("with that of another node, the same one for a session, and all of them for many", () => {
    const others = ["8.8.8.1", "8.8.8.2", "8.8.8.3"].map((host) => ({ hosts: [host], port: 3000 }));
    const second = (session: string) => servers({ relay: RENTED, others, session }).at(-1)!;
    expect(second("a")).toEqual(second("a"));
    expect(second("a").username).toBe(servers({ relay: RENTED, session: "a" })[1]!.username);
    const met = new Set(Array.from({ length: 100 }, (_, n) => second(`session ${n}`).urls[0]));
    expect([...met].sort()).toEqual(others.map(({ hosts }) => `turn:${hosts[0]}:3000?transport=udp`));
  });

  test("without STUN, where every call goes through it", () => {
    const env = { CHATRANDOM_ICE_POLICY: "relay" };
    expect(iceOf({ relay: RENTED, env }).policy).toBe("relay");
    expect(urls({ relay: RENTED, env }).join()).not.toContain("stun:");
  });
});

test("servers elsewhere are offered with what they want: a signed name, a password, nothing", () => {
  const signed = { CHATRANDOM_TURN_URLS: "turn:relay.example", CHATRANDOM_TURN_SECRET: "hush" };
  const [server] = servers({ env: signed });
  expect(server!.urls).toEqual(["turn:relay.example"]);
  expect(server!.credential).toBe(createHmac("sha1", "hush").update(server!.username!).digest("base64"));
  const password = {
    CHATRANDOM_ICE_URLS: "turn:old.example",
    CHATRANDOM_ICE_USERNAME: "me",
    CHATRANDOM_ICE_CREDENTIAL: "word",
  };
  expect(servers({ env: password })).toEqual([
    { urls: ["turn:old.example"], username: "me", credential: "word" },
  ]);
  expect(servers({ env: { CHATRANDOM_ICE_URLS: "stun:s.example" } })).toEqual([{ urls: ["stun:s.example"] }]);
});
