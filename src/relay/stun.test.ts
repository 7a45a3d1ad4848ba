import { describe, expect, test } from "vitest";
import {
  ATTRIBUTE,
  addressOf,
  addressValue,
  decode,
  encode,
  errorOf,
  isSignedWith,
  longTermKey,
  type Message,
  METHOD,
  valueOf,
} from "./stun.ts";

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s+/g, ""), "hex");
const TRANSACTION = hex("b7e7a701bc34d686fa87dfae");
const PASSWORD = Buffer.from("VOkJxbRl1RmTxUk/WvJxBt");

/** The test vectors of RFC 5769. */
const REQUEST = hex(`
  0001 0058 2112a442 b7e7a701bc34d686fa87dfae
  8022 0010 5354554e207465737420636c69656e74
  0024 0004 6e0001ff
  8029 0008 932ff9b151263b36
  0006 0009 6576746a3a68367659 202020
  0008 0014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2
  8028 0004 e57a3bcf`);
const OVER_IPV4 = hex(`
  0101 003c 2112a442 b7e7a701bc34d686fa87dfae
  8022 000b 7465737420766563746f72 20
  0020 0008 0001a147e112a643
  0008 0014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7
  8028 0004 c07d4c96`);
const OVER_IPV6 = hex(`
  0101 0048 2112a442 b7e7a701bc34d686fa87dfae
  8022 000b 7465737420766563746f72 20
  0020 0014 0002a1470113a9faa5d3f179bc25f4b5bed2b9d9
  0008 0014 a382954e4be67bf11784c97c8292c275bfe3ed41
  8028 0004 c8fb0b4c`);
const LONG_TERM = hex(`
  0001 0060 2112a442 78ad3433c6ad72c029da412e
  0006 0012 e3839ee38388e383aae38383e382afe382b9 0000
  0015 001c 662f2f3439396b39353464364f4c33346f4c394653547679363473 41
  0014 000b 6578616d706c652e6f7267 00
  0008 0014 f67024656dd64a3e02b8e0712e85c9a28ca89666`);

describe("the test vectors of RFC 5769", () => {
  test("2.1: a signed request, whose padding is not zeros", () => {
    const message = decode(REQUEST)!;
    expect(message).toMatchObject({ method: METHOD.binding, kind: "request" });
    expect(Buffer.from(message.transaction)).toEqual(TRANSACTION);
    expect(String(valueOf(message, ATTRIBUTE.username))).toBe("evtj:h6vY");
    expect(isSignedWith(REQUEST, PASSWORD)).toBe(true);
    expect(isSignedWith(REQUEST, Buffer.from("another"))).toBe(false);
  });

  test.each([
    ["2.2", OVER_IPV4, { address: "192.0.2.1", port: 32853 }],
    ["2.3", OVER_IPV6, { address: "2001:db8:1234:5678:11:2233:4455:6677", port: 32853 }],
  ])("%s: an answer that tells an address", (_, bytes, address) => {
    const message = decode(bytes)!;
    expect(message).toMatchObject({ method: METHOD.binding, kind: "success" });
    expect(addressOf(message, ATTRIBUTE.xorMappedAddress)).toEqual(address);
    expect(isSignedWith(bytes, PASSWORD)).toBe(true);
  });

  test("2.4: a request with long-term credentials is written to the byte", () => {
    // SASLprep, which we leave to who chooses the password, makes this of the password that is given there.
    const key = longTermKey("マトリックス", "example.org", "TheMatrIX");
    const message: Message = {
      method: METHOD.binding,
      kind: "request",
      transaction: hex("78ad3433c6ad72c029da412e"),
      attributes: [
        [ATTRIBUTE.username, Buffer.from("マトリックス")],
        [ATTRIBUTE.nonce, Buffer.from("f//499k954d6OL34oL9FSTvy64sA")],
        [ATTRIBUTE.realm, Buffer.from("example.org")],
      ],
    };
    expect(encode(message, key).toString("hex")).toBe(LONG_TERM.toString("hex"));
    expect(isSignedWith(LONG_TERM, key)).toBe(true);
  });

  test("a changed byte breaks the signature and the fingerprint", () => {
    for (const bytes of [REQUEST, OVER_IPV4, OVER_IPV6]) {
      const changed = Buffer.from(bytes);
      changed[25]! ^= 1;
      expect(decode(changed)).toBeUndefined();
      expect(isSignedWith(changed, PASSWORD)).toBe(false);
    }
  });
});

test.each(Object.entries(METHOD))("%s goes through in every kind", (_, method) => {
  for (const kind of ["request", "indication", "success", "error"] as const) {
    const message = { method, kind, transaction: TRANSACTION, attributes: [] };
    expect(decode(encode(message))).toEqual(message);
  }
});

test.each(["203.0.113.9", "::", "::1", "fe80::1", "2001:db8::ffff", "1:2:3:4:5:6:7:8", "1::"])(
  "the address %s goes through",
  (address) => {
    const value = addressValue({ address, port: 65_535 }, TRANSACTION);
    const message: Message = {
      method: METHOD.send,
      kind: "indication",
      transaction: TRANSACTION,
      attributes: [[ATTRIBUTE.xorPeerAddress, value]],
    };
    const read = decode(encode(message))!;
    expect(addressOf(read, ATTRIBUTE.xorPeerAddress)).toEqual({ address, port: 65_535 });
  },
);

test("the code and the words of an error", () => {
  const message = (attribute: Buffer): Message => ({
    method: METHOD.allocate,
    kind: "error",
    transaction: TRANSACTION,
    attributes: [[ATTRIBUTE.errorCode, attribute]],
  });
  expect(errorOf(message(Buffer.concat([Buffer.from([0, 0, 4, 42]), Buffer.from("Wrong")])))).toEqual({
    code: 442,
    phrase: "Wrong",
  });
  expect(errorOf(message(Buffer.from([4])))).toBeUndefined();
});

describe("what is no message is none, whatever it is", () => {
  test.each([
    ["nothing", Buffer.alloc(0)],
    ["too short", REQUEST.subarray(0, 19)],
    ["cut off", REQUEST.subarray(0, -4)],
    ["too long", Buffer.concat([REQUEST, Buffer.alloc(4)])],
    ["another cookie", Buffer.from(REQUEST).fill(0, 4, 8)],
    ["an answer of HTTP", Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")],
  ])("%s", (_, bytes) => expect(decode(bytes)).toBeUndefined());

  test("attributes that claim to be longer than the message, and addresses of a wrong size", () => {
    const broken = encode({
      method: METHOD.binding,
      kind: "success",
      transaction: TRANSACTION,
      attributes: [[ATTRIBUTE.xorMappedAddress, Buffer.from([0, 1, 2, 3, 4, 5, 6])]],
    });
    expect(addressOf(decode(broken)!, ATTRIBUTE.xorMappedAddress)).toBeUndefined();
    broken.writeUInt16BE(500, 22);
    expect(decode(broken)!.attributes).toEqual([]);
  });
});
