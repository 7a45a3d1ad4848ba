import { expect, test } from "vitest";
import { bytesOf, textOf } from "./address-bytes.ts";

test.each([
  ["192.0.2.7", "c0000207", "192.0.2.7"],
  ["::ffff:10.1.2.3", "0a010203", "10.1.2.3"],
  ["2001:db8::7:1", "20010db8000000000000000000070001", "2001:db8::7:1"],
  ["1:2:3:4:5:6:7:8", "00010002000300040005000600070008", "1:2:3:4:5:6:7:8"],
  ["fe80::1%eth0", "fe800000000000000000000000000001", "fe80::1"],
  ["64:ff9b::192.0.2.7", "0064ff9b0000000000000000c0000207", "64:ff9b::c000:207"],
  ["::", "0".repeat(32), "::"],
  ["::1", "1".padStart(32, "0"), "::1"],
])("%s", (address, hex, text) => {
  expect(bytesOf(address).toString("hex")).toBe(hex);
  expect(textOf(bytesOf(address))).toBe(text);
});
