/** A reverse proxy for tests, which spoils what the test wants spoilt. */
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

export interface Faults {
  /** Of a request: everything up to the empty line. What it returns is passed on. */
  request?(head: string): string;
  /** Of an answer. */
  response?(head: string): string;
  /** Passes nothing on behind the head of an answer. */
  mute?: boolean;
  /** Closes the connection once the head of an answer is passed on. */
  cut?: boolean;
}

export interface TestProxy {
  readonly port: number;
  readonly origin: string;
  close(): Promise<void>;
}

/** Takes the lines with these headers out of a head. */
export const without =
  (...names: string[]) =>
  (head: string): string =>
    head
      .split("\r\n")
      .filter((line) => !names.some((name) => line.toLowerCase().startsWith(`${name}:`)))
      .join("\r\n");

/** Each connection carries one request. `port` is that of the server behind it, on this machine. */
export async function startTestProxy(port: number, faults: Faults = {}): Promise<TestProxy> {
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy()).on("close", () => sockets.delete(socket));
  };
  const server = createServer((visitor) => {
    keep(visitor);
    const upstream = connect(port, "127.0.0.1");
    keep(upstream);
    visitor.on("close", () => upstream.destroy());
    upstream.on("close", () => visitor.end());
    const { request = same, response = same } = faults;
    afterHead(
      visitor,
      (head) => upstream.write(request(head)),
      (rest) => upstream.write(rest),
    );
    const answer = (head: string): void => {
      visitor.write(response(head));
      if (faults.cut) visitor.end();
    };
    afterHead(upstream, answer, (rest) => void (!faults.mute && visitor.write(rest)));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address() as AddressInfo;
  return {
    port: address.port,
    origin: `http://127.0.0.1:${address.port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

const same = (head: string): string => head;

function afterHead(socket: Socket, onHead: (head: string) => void, onRest: (rest: Buffer) => void): void {
  let head: Buffer | undefined = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    if (!head) return onRest(chunk);
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf("\r\n\r\n");
    if (end === -1) return;
    const rest = head.subarray(end + 4);
    onHead(head.toString("latin1", 0, end + 4));
    head = undefined;
    if (rest.length > 0) onRest(rest);
  });
}
