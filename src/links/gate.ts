/**
 * The gate: who may subscribe to a publisher. CURVE alone lets in whoever knows the publisher's public key, which is
 * no secret; this asks for the subscriber's own key as well (ZAP, rfc.zeromq.org/spec/27).
 */
import { Reply, type Context } from "zeromq";
import { z85 } from "./z85.ts";

/** Publishers of this domain ask the gate of their context, and let nobody in when there is none. */
export const GATE_DOMAIN = "chatrandom";

export interface Gate {
  close(): void;
}

/** Lets in who proves to hold the secret to `publicKey` (Z85). Must be open before a publisher of `context` binds. */
export async function openGate(context: Context, publicKey: string): Promise<Gate> {
  const requests = new Reply({ context, linger: 0 });
  await requests.bind("inproc://zeromq.zap.01");
  void answerAll(requests, publicKey);
  return { close: () => requests.close() };
}

async function answerAll(requests: Reply, publicKey: string): Promise<void> {
  for await (const [version, request, _domain, _address, _identity, mechanism, key] of requests) {
    const welcome = mechanism?.toString() === "CURVE" && key?.length === 32 && z85(key) === publicKey;
    const verdict = welcome ? ["200", "OK"] : ["400", "no node of this cluster"];
    if (requests.closed) return;
    await requests.send([version ?? "1.0", request ?? "", ...verdict, "", ""]);
  }
}
