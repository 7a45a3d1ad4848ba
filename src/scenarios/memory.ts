import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Bytes that this process still needs: what is left once the garbage is gone, buffers included. */
export async function memoryInUse(): Promise<number> {
  // Sockets that have just been closed are let go of a few turns of the event loop later.
  for (let turn = 0; turn < 3; turn += 1) {
    await new Promise((resolve) => void setImmediate(resolve));
    collectGarbage();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
