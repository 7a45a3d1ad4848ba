import { signal } from "@preact/signals";
import { expect, test } from "vitest";
import { Ice } from "./ice.ts";
import { welcome } from "./testing/messages.ts";

test.each([
  [[{ urls: "stun:a" }, { urls: ["stun:b", "turns:b:443?transport=tcp"] }], true],
  [[{ urls: ["turn:a"] }], true],
  [[{ urls: "stun:turn.example" }], false],
  [[], false],
])("a relay is a TURN server: %j", (iceServers, offered) => {
  const ice = new Ice(() => true);
  expect([ice.relayOffered.value, ice.relayLacks]).toEqual([null, false]);
  expect(ice.relayOffered.value).toBeNull();
  ice.welcome(welcome({ iceServers }));
  expect([ice.relayOffered.value, ice.relayLacks]).toEqual([offered, !offered]);
  ice.renew([{ urls: "turn:new" }]);
  expect(ice.relayOffered.value).toBe(true);
});

test("the place's word on hiding addresses stands above the visitor's", () => {
  const wished = signal(true);
  const ice = new Ice(() => wished.value);
  expect(ice.addressHidden.value).toBe("byVisitor");
  ice.welcome(welcome({ iceTransportPolicy: "relay" }));
  wished.value = false;
  expect(ice.addressHidden.value).toBe("byPlace");
  ice.welcome(welcome());
  expect(ice.addressHidden.value).toBe("no");
});

test("nothing is known before the welcome, and private by default after it", () => {
  const ice = new Ice(() => false);
  expect([ice.relayOffered.value, ice.addressHidden.value]).toEqual([null, "no"]);
  ice.welcome(welcome({ iceTransportPolicy: "relay" }));
  expect([ice.addressHidden.value, ice.relayOnly, ice.relayLacks]).toEqual(["byPlace", true, true]);
  expect(ice.discretion(true)).toEqual({ relayOnly: true, lan: false });
  ice.welcome(welcome({ settings: { lan: true } }));
  expect(ice.discretion(false)).toEqual({ relayOnly: false, lan: true });
  expect(ice.configuration(false)).toMatchObject({ iceTransportPolicy: "all" });
  expect(ice.configuration(true)).toMatchObject({ iceTransportPolicy: "relay" });
});
