import { expect, test } from "vitest";
import { relayCannotBind } from "./choose-port.ts";

test("the rights of a file are not those of the relay", () => {
  expect(relayCannotBind({ code: "EACCES", address: "192.0.2.1" }, 80, "--host", undefined).message).toMatch(
    /^Port 80 needs rights .*\(setcap\).* --turn-port\.$/,
  );
});
