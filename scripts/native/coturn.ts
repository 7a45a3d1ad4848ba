import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { obtain, type NativeProgram } from "./program.ts";

const doc = (name: string) => `/usr/share/doc/${name}/copyright`;

/**
 * What the relay needs and coturn does not have: a port for the PROXY protocol beside the ordinary one for TCP, and only
 * on loopback; relaying to our own addresses, those that come while it runs too, at the ports of other allocations and at
 * no other; a limit to how many new clients one address brings, and no client by what is no STUN; counts of what is
 * refused, told in lines that no words of a client can begin, and no line for each bad packet. And a comparison of
 * addresses that is right: coturn's takes :: for no bound at all, and of IPv6 each byte for itself.
 */
const patch = fileURLToPath(new URL("coturn.patch", import.meta.url));

/** The embedded STUN and TURN server: coturn, static, without databases, metrics and SCTP, 5.6 MB. */
export const coturn: NativeProgram = {
  name: "turnserver",
  override: "CHATRANDOM_TURN_SERVER",
  source: "coturn",
  packages: ["libevent-dev", "libssl-dev", "zlib1g-dev", "pkg-config"],
  // One from elsewhere lacks the patch: its port for the PROXY protocol would be open to everybody.
  onPath: [],
  recipe: ["coturn.ts", "coturn.patch"],
  compiler: "gcc",
  build({ source, endWithParent, run, jobs }) {
    run("patch", ["-p1", "--forward", "--fuzz=0", `--input=${patch}`]);
    const without = ["PROMETHEUS", "SQLITE", "PQ", "MYSQL", "MONGO", "HIREDIS", "SYSTEMD", "SCTP"];
    run("./configure", [], Object.fromEntries(without.map((part) => [`TURN_NO_${part}`, "1"])));
    const libraries =
      "-levent_core -levent_extra -levent_openssl -levent_pthreads -levent -lssl -lcrypto -lz -ldl -lpthread -lrt";
    run("make", [
      `-j${jobs}`,
      "bin/turnserver",
      `LDFLAGS=-static ${endWithParent} -Wl,--start-group ${libraries} -Wl,--end-group`,
    ]);
    return join(source.directory, "bin/turnserver");
  },
  licences: ({ directory }) => [
    // Debian's has all of them; without its part there is upstream's own.
    join(directory, existsSync(join(directory, "debian/copyright")) ? "debian/copyright" : "LICENSE"),
    ...["libevent-dev", "libssl-dev", "zlib1g-dev", "libc6-dev"].map(doc),
  ],
};

if (import.meta.main) console.log(obtain(coturn).path);
