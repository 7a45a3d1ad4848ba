/**
 * Two networks that meet in a third, where the place is: network namespaces, as root can make them. One visitor is in a
 * namespace of their own, the other one on this very machine, since Firefox and what drives it must be in one network.
 *
 *     visitor's namespace (`away`) ── place's namespace ── this machine (`here`)
 *
 * Both reach the place. Whether they reach each other is for the place's namespace to say, which forwards or does not.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Of the block for benchmarks between networks (RFC 2544): public to the page, and nobody's in the world. */
const BLOCK = "198.18";
/** Of three networks, others for each process: this machine has one way to an address. */
const FIRST = (process.pid % 85) * 3;
const PLACE = `${BLOCK}.${FIRST}.1`;
const AWAY = { gateway: `${BLOCK}.${FIRST + 1}.1`, address: `${BLOCK}.${FIRST + 1}.2` };
const HERE = { gateway: `${BLOCK}.${FIRST + 2}.1`, address: `${BLOCK}.${FIRST + 2}.2` };

const run = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

export class Networks {
  /** Where the place is, as both visitors see it. */
  readonly place = PLACE;
  readonly awayAddress = AWAY.address;
  readonly placeNamespace: string;
  readonly #away: string;
  readonly #here: string;
  readonly #folder = mkdtempSync(join(tmpdir(), "chatrandom-networks-"));

  constructor() {
    // Interface names have 15 characters at most.
    const own = `cr${process.pid.toString(36)}`;
    this.placeNamespace = `${own}p`;
    this.#away = `${own}a`;
    this.#here = `${own}h`;
    try {
      this.#build();
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  #build(): void {
    const [place, away, here] = [this.placeNamespace, this.#away, this.#here];
    for (const namespace of [place, away]) run("ip", "netns", "add", namespace);
    run("ip", "link", "add", `${away}0`, "netns", away, "type", "veth", "peer", "name", away, "netns", place);
    run("ip", "link", "add", here, "type", "veth", "peer", "name", here, "netns", place);

    this.#inPlace("ip", "link", "set", "lo", "up");
    this.#inPlace("ip", "address", "add", `${PLACE}/32`, "dev", "lo");
    this.#inPlace("ip", "address", "add", `${AWAY.gateway}/24`, "dev", away);
    this.#inPlace("ip", "address", "add", `${HERE.gateway}/24`, "dev", here);
    for (const device of [away, here]) this.#inPlace("ip", "link", "set", device, "up");
    // A relay looks for its way out when it opens a port, wherever that will lead.
    this.#inPlace("ip", "route", "add", "default", "via", HERE.address);

    this.#inAway("ip", "link", "set", "lo", "up");
    this.#inAway("ip", "address", "add", `${AWAY.address}/24`, "dev", `${away}0`);
    this.#inAway("ip", "link", "set", `${away}0`, "up");
    this.#inAway("ip", "route", "add", "default", "via", AWAY.gateway);

    run("ip", "address", "add", `${HERE.address}/24`, "dev", here);
    run("ip", "link", "set", here, "up");
    for (const network of [`${PLACE}/32`, `${BLOCK}.${FIRST + 1}.0/24`])
      run("ip", "route", "add", network, "via", HERE.gateway);
    this.forward(false);
    this.#inPlace("nft", "add", "table", "inet", "test");
    this.#inPlace("nft", "add", "chain", "inet", "test", "input", "{ type filter hook input priority 0; }");
  }

  /** Whether the two visitors reach each other directly. */
  forward(yes: boolean): void {
    this.#inPlace("sysctl", "-qw", `net.ipv4.ip_forward=${yes ? 1 : 0}`);
  }

  /** Lets nothing through to the place but these ports, from either visitor. */
  allow(rule: "everything" | `${"udp" | "tcp"} dport ${string}`, ...more: string[]): void {
    this.#inPlace("nft", "flush", "chain", "inet", "test", "input");
    if (rule === "everything") return;
    for (const device of [this.#away, this.#here]) {
      for (const each of [rule, ...more])
        this.#inPlace(
          "nft",
          "add",
          "rule",
          "inet",
          "test",
          "input",
          "iifname",
          device,
          ...each.split(" "),
          "accept",
        );
      this.#inPlace("nft", "add", "rule", "inet", "test", "input", "iifname", device, "drop");
    }
  }

  /** A command that runs `program` in the namespace of the visitor who is away. */
  awayCommand(program: string): string {
    const file = join(this.#folder, "away");
    writeFileSync(file, `#!/bin/sh\nexec ip netns exec ${this.#away} ${program} "$@"\n`);
    chmodSync(file, 0o755);
    return file;
  }

  remove(): void {
    for (const namespace of [this.placeNamespace, this.#away]) {
      try {
        run("ip", "netns", "delete", namespace); // its devices go with it, and the routes through them
      } catch {
        // It was not made.
      }
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #inPlace(...command: string[]): void {
    run("ip", "netns", "exec", this.placeNamespace, ...command);
  }
  #inAway(...command: string[]): void {
    run("ip", "netns", "exec", this.#away, ...command);
  }
}
