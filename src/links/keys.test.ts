import { expect, test } from "vitest";
import "./zeromq-addon.ts";
import { curveKeyPair } from "zeromq";
import { Failure } from "../failure.ts";
import { linkKeys } from "./keys.ts";
import { z85 } from "./z85.ts";

const SECRET = "a secret of at least 32 characters";

test("the same secret gives the same keys on every node", () => {
  const here = linkKeys(SECRET);
  const there = linkKeys(SECRET);
  expect(here.publisher("n1")).toEqual(there.publisher("n1"));
  expect(here.subscriber).toEqual(there.subscriber);
});

test("another node, another purpose and another secret give other keys", () => {
  const keys = linkKeys(SECRET);
  const others = linkKeys(`${SECRET}.`);
  const pairs = [
    keys.publisher("n1"),
    keys.publisher("n2"),
    keys.subscriber,
    others.publisher("n1"),
    others.subscriber,
  ];
  expect(new Set(pairs.map(({ publicKey }) => publicKey)).size).toBe(pairs.length);
  expect(new Set(pairs.map(({ secretKey }) => secretKey)).size).toBe(pairs.length);
});

test("keys are in the form that ZeroMQ has them in", () => {
  const { publicKey, secretKey } = linkKeys(SECRET).subscriber;
  const { publicKey: like } = curveKeyPair();
  expect(publicKey).toHaveLength(like.length);
  expect(secretKey).toHaveLength(like.length);
});

test("a secret that can be guessed is refused", () => {
  expect(() => linkKeys("short")).toThrow(Failure);
  expect(() => linkKeys("x".repeat(31))).toThrow(/32 characters/);
  expect(() => linkKeys("x".repeat(32))).not.toThrow();
});

test("Z85 is as its specification has it", () => {
  expect(z85(Buffer.from("864FD26FB559F75B", "hex"))).toBe("HelloWorld");
  expect(z85(Buffer.alloc(4, 0xff))).toBe("%nSc0");
  expect(() => z85(Buffer.alloc(5))).toThrow(RangeError);
});
