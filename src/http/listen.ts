import type { AddressInfo, Server } from "node:net";
import { Failure } from "../failure.ts";

/**
 * Listens; `option` is the one that names the port. With `reusePort` other processes that listen so too get their part
 * of the connections. Throws a `Failure`, one line that says what to change.
 */
export function listen(
  server: Server,
  host: string,
  port: number,
  option = "--port",
  reusePort = false,
): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    const attempt = (address: string): void => {
      server.once("error", (error: NodeJS.ErrnoException) => {
        // "::" means every address; a machine without IPv6 has them all at 0.0.0.0.
        if (address === "::" && (error.code === "EAFNOSUPPORT" || error.code === "EADDRNOTAVAIL"))
          attempt("0.0.0.0");
        else reject(explained(error, address, port, option));
      });
      server.listen({ host: address, port, backlog: 4096, reusePort }, () => {
        server.removeAllListeners("error");
        resolve(server.address() as AddressInfo);
      });
    };
    attempt(host);
  });
}

function explained(error: NodeJS.ErrnoException, host: string, port: number, option: string): Failure {
  const cause = { cause: error };
  switch (error.code) {
    case "EADDRINUSE":
      return new Failure(
        `Port ${port} is in use already. Stop what uses it, or choose another with ${option}.`,
        1,
        cause,
      );
    case "EACCES":
      return new Failure(
        `Port ${port} needs rights that this user does not have. Choose one above 1023 with ${option}.`,
        1,
        cause,
      );
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return new Failure(`${host} is no address of this machine. Choose another with --host.`, 1, cause);
    default:
      return new Failure(`Cannot listen on ${host} port ${port}: ${error.message}`, 1, cause);
  }
}
