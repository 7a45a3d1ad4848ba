/**
 * Another machine beside this one, on a cable to it: a network namespace, as root can make them. Addresses come and go
 * there without a word to this machine, on which other tests run.
 */
import { execFileSync } from "node:child_process";

/** Of the block for benchmarks between networks (RFC 2544), other ones for each process. */
const NETWORK = `198.19.${process.pid % 256}`;

const run = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

export class Neighbour {
  readonly address = `${NETWORK}.1`;
  /** Begins a command that runs there. */
  readonly enter: readonly string[];
  // The names of interfaces have 15 characters at most.
  readonly #name = `cr${process.pid.toString(36)}n`;

  constructor() {
    const name = this.#name;
    this.enter = ["ip", "netns", "exec", name];
    run("ip", "netns", "add", name);
    try {
      run("ip", "link", "add", name, "type", "veth", "peer", "name", "cable", "netns", name);
      run("ip", "address", "add", `${NETWORK}.2/24`, "dev", name);
      run("ip", "link", "set", name, "up");
      this.#inside("ip", "link", "set", "lo", "up");
      this.#inside("ip", "address", "add", `${this.address}/24`, "dev", "cable");
      this.#inside("ip", "link", "set", "cable", "up");
      // A relay looks for its way out when it opens a port, wherever that will lead.
      this.#inside("ip", "route", "add", "default", "via", `${NETWORK}.2`);
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  /** An address of its network, by its last number, that is nobody's until it is added. */
  free(last: number): string {
    return `${NETWORK}.${last}`;
  }

  add(address: string): void {
    this.#inside("ip", "address", "add", `${address}/32`, "dev", "lo");
  }

  /** What runs there must have ended. */
  remove(): void {
    run("ip", "netns", "delete", this.#name); // its devices go with it, and the routes through them
  }

  #inside(...command: string[]): void {
    const [program, ...args] = [...this.enter, ...command];
    run(program!, ...args);
  }
}
