import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { localHeader } from "./forward.ts";

const ANSWER_MS = 1_000;

/** A Binding request of STUN, and whether it is answered. Over TCP, because a server that is not there yet refuses it. */
export function answersStun(proxyPort: number): Promise<boolean> {
  return new Promise((resolve) => {
    const request = Buffer.concat([Buffer.from("000100002112a442", "hex"), randomBytes(12)]);
    const socket = connect({ port: proxyPort, host: "127.0.0.1" }, () => {
      socket.write(Buffer.concat([localHeader(), request]));
    });
    const done = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("data", (data: Buffer) => done(data.length > 1 && data.readUInt16BE(0) === 0x0101));
    socket.once("error", () => done(false));
    socket.once("close", () => done(false));
    socket.setTimeout(ANSWER_MS, () => done(false));
  });
}
