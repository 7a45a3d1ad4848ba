/** Ports of loopback for the servers that tests start. */
import { choosePort } from "./relay/choose-port.ts";

const given = new Set<number>();

/**
 * One that is free for TCP and UDP, another one each time. It is none of those that the system gives to whoever asks for
 * any: until the server listens another test might be given it.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = await choosePort(["127.0.0.1"], 0, "--host");
    if (given.has(port)) continue;
    given.add(port);
    return port;
  }
}
