import { describe, expect, test } from "vitest";
import type { Tried } from "../relay/self-test.ts";
import { judgePublicAddress } from "./public-address.ts";
import { judgeRelay } from "./relay.ts";

const udp: Tried = { url: "turn:relay.example", kind: "turn", transport: "udp", outcome: "works", ms: 12.3 };
const tcp: Tried = { ...udp, url: "turn:relay.example?transport=tcp", transport: "tcp" };
const stun: Tried = { ...udp, url: "stun:relay.example", kind: "stun" };

describe("the relay", () => {
  test("one that works by UDP and TCP is fine", () => {
    expect(judgeRelay([udp, tcp, stun])).toEqual([
      { check: "relay", level: "fine", text: "turn:relay.example allocates and relays, in 12 ms" },
      {
        check: "relay",
        level: "fine",
        text: "turn:relay.example?transport=tcp allocates and relays, in 12 ms",
      },
      { check: "relay", level: "fine", text: "stun:relay.example answers, in 12 ms" },
    ]);
  });

  test("one that does not work is wrong, with what to change", () => {
    const dead: Tried = { ...udp, outcome: "fails", reason: "unauthorised", problem: "it refuses" };
    expect(judgeRelay([dead, tcp])[0]).toMatchObject({
      level: "wrong",
      text: "turn:relay.example: it refuses",
      advice: expect.stringContaining("ice.credential"),
    });
    expect(judgeRelay([{ ...dead, outcome: "limited" }, tcp])[0]!.level).toBe("warning");
  });

  test("none, and one by UDP only, are warnings", () => {
    expect(judgeRelay([stun]).at(-1)).toMatchObject({
      level: "warning",
      text: expect.stringContaining("one pair in five"),
      advice: expect.stringMatching(/--turn-enabled.*--turn-urls.*--ice-urls/),
    });
    expect(judgeRelay([udp]).at(-1)).toMatchObject({
      level: "warning",
      text: expect.stringContaining("UDP only"),
    });
  });
});

describe("the public address", () => {
  const at = (address: string) => ({ address, port: 1 });
  const seen = (address: string): Tried => ({ ...stun, mapped: at(address) });

  test("a relay that tells visitors to come to a private address", () => {
    const hidden: Tried = {
      ...udp,
      remote: "9.9.9.9",
      relayed: at("10.0.0.5"),
      mapped: at("9.9.9.9"),
    };
    expect(judgePublicAddress({ named: [], own: [], here: false, tried: [hidden] })).toMatchObject({
      level: "wrong",
      text: expect.stringContaining("10.0.0.5, which is private"),
      advice: expect.stringContaining("--turn-public-address"),
    });
    const open = { ...hidden, relayed: at("9.9.9.9") };
    expect(judgePublicAddress({ named: [], own: [], here: false, tried: [open] }).level).toBe("fine");
    // In one network it may be so.
    const inside = { ...hidden, remote: "10.0.0.5" };
    expect(judgePublicAddress({ named: [], own: [], here: false, tried: [inside] }).level).toBe("fine");
  });

  test("a name that leads elsewhere than where we are seen", () => {
    const elsewhere = { named: ["8.8.4.4"], own: ["10.0.0.5"], tried: [seen("9.9.9.9")] };
    expect(judgePublicAddress({ ...elsewhere, here: true }).level).toBe("warning");
    expect(judgePublicAddress({ ...elsewhere, here: false }).level).toBe("fine");
    const right = { ...elsewhere, named: ["9.9.9.9", "2620:fe::fe"] };
    expect(judgePublicAddress({ ...right, here: true })).toMatchObject({
      level: "fine",
      text: expect.stringContaining("a NAT in front of this machine"),
    });
    expect(judgePublicAddress({ ...right, own: ["9.9.9.9"], here: true }).text).not.toContain("NAT");
  });

  test("a router that the embedded relay does not know of, or knows by another address", () => {
    const routed = { named: ["9.9.9.9"], own: ["10.0.0.5"], here: true, tried: [seen("9.9.9.9")] };
    expect(judgePublicAddress({ ...routed, configured: "" })).toMatchObject({
      level: "warning",
      advice: expect.stringMatching(/--turn-public-address.* to 9\.9\.9\.9/),
    });
    expect(judgePublicAddress({ ...routed, configured: "8.8.4.4" }).level).toBe("warning");
    expect(judgePublicAddress({ ...routed, configured: "9.9.9.9" }).level).toBe("fine");
    expect(judgePublicAddress({ ...routed, own: ["9.9.9.9"], configured: "" }).level).toBe("fine");
  });

  test("a router that the relay has found by itself", () => {
    const found: Tried = { ...udp, remote: "9.9.9.9", relayed: at("9.9.9.9"), mapped: at("192.168.1.1") };
    const routed = { named: ["9.9.9.9"], own: ["10.0.0.5"], here: true, configured: "" };
    expect(judgePublicAddress({ ...routed, tried: [seen("9.9.9.9"), found] })).toMatchObject({
      level: "fine",
      text: expect.stringContaining("a NAT in front of this machine"),
    });
    const other: Tried = { ...found, relayed: at("8.8.4.4") };
    expect(judgePublicAddress({ ...routed, tried: [seen("9.9.9.9"), other] }).level).toBe("warning");
  });

  test("seen from inside only says nothing of the name", () => {
    const inside = { named: ["9.9.9.9"], own: ["10.0.0.5"], here: true, tried: [seen("10.0.0.5")] };
    expect(judgePublicAddress(inside).level).toBe("fine");
  });

  describe("that only servers of this machine said", () => {
    const own = ["127.0.0.1", "192.168.1.20", "fd00::2", "2620:fe::20"];
    const said = (address: string): Tried => ({ ...seen(address), remote: address });
    const judge = (tried: Tried[], asked: Tried[] = []) =>
      judgePublicAddress({ named: [], own, here: true, tried, asked, configured: "" });
    const silent: Tried = { ...stun, url: "stun:elsewhere.example", outcome: "fails", problem: "no answer" };

    test("is nothing that is known", () => {
      for (const tried of [[said("192.168.1.20"), said("fd00::2")], [said("127.0.0.1")]])
        expect(judge(tried)).toMatchObject({
          level: "skipped",
          text: expect.not.stringContaining("seen from"),
        });
    });

    test("is nothing either where those elsewhere were asked in vain", () => {
      for (const address of ["192.168.1.20", "2620:fe::20"])
        expect(judge([said(address)], [silent])).toMatchObject({
          level: "skipped",
          text: expect.stringContaining("stun:elsewhere.example"),
        });
      // A router that leads back to itself.
      const router: Tried = { ...udp, remote: "9.9.9.9", relayed: at("9.9.9.9"), mapped: at("192.168.1.1") };
      expect(judge([router], [silent]).level).toBe("skipped");
    });

    test("is known where it is public and nobody else is asked, or somebody else says so", () => {
      expect(judge([said("2620:fe::20")]).level).toBe("fine");
      expect(judge([said("192.168.1.20")], [silent, seen("2620:fe::20")]).level).toBe("fine");
      expect(judge([said("192.168.1.20"), seen("2620:fe::20")], [silent]).level).toBe("fine");
      expect(judge([said("192.168.1.20")], [seen("192.168.1.20")]).level).toBe("fine");
    });
  });

  test("without an answer nothing can be said", () => {
    expect(judgePublicAddress({ named: [], own: [], here: true, tried: [udp] }).level).toBe("skipped");
  });
});
