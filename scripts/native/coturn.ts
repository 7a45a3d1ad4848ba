import { join } from "node:path";
import { obtain, type NativeProgram } from "./program.ts";

const doc = (name: string) => `/usr/share/doc/${name}/copyright`;

/** The embedded STUN and TURN server: coturn, static, without databases, metrics and SCTP, 5.6 MB. */
export const coturn: NativeProgram = {
  name: "turnserver",
  override: "CHATRANDOM_TURN_SERVER",
  source: "coturn",
  packages: ["libevent-dev", "libssl-dev", "zlib1g-dev", "pkg-config"],
  onPath: ["turnserver"],
  recipe: "coturn.ts",
  compiler: "gcc",
  build({ source, endWithParent, run, jobs }) {
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
    join(directory, "debian/copyright"),
    ...["libevent-dev", "libssl-dev", "zlib1g-dev", "libc6-dev"].map(doc),
  ],
};

if (import.meta.main) console.log(obtain(coturn).path);
