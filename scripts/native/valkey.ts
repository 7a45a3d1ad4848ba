import { existsSync } from "node:fs";
import { join } from "node:path";
import { obtain, type NativeProgram } from "./program.ts";

/** The embedded Redis: Valkey, static with musl, 2.3 MB. Without TLS and jemalloc: it serves one unix socket. */
export const valkey: NativeProgram = {
  name: "valkey-server",
  override: "CHATRANDOM_REDIS_SERVER",
  source: "valkey",
  packages: ["musl-tools"],
  onPath: ["valkey-server", "redis-server"],
  recipe: ["valkey.ts"],
  compiler: "musl-gcc",
  build({ source, endWithParent, run, jobs }) {
    run("make", [
      `-j${jobs}`,
      "-C",
      "src",
      "valkey-server",
      "CC=musl-gcc",
      "MALLOC=libc",
      "BUILD_TLS=no",
      "USE_SYSTEMD=no",
      "OPTIMIZATION=-O2",
      `SERVER_LDFLAGS=-static ${endWithParent}`,
    ]);
    return join(source.directory, "src/valkey-server");
  },
  licences: ({ directory }) => [
    // Debian's has all of them; without its part there is each one's own.
    ...(existsSync(join(directory, "debian/copyright"))
      ? ["debian/copyright"]
      : [
          "COPYING",
          "deps/lua/COPYRIGHT",
          "deps/hiredis/COPYING",
          "deps/hdr_histogram/LICENSE.txt",
          "deps/fpconv/LICENSE.txt",
        ]
    ).map((file) => join(directory, file)),
    "/usr/share/doc/musl-dev/copyright",
  ],
};

if (import.meta.main) console.log(obtain(valkey).path);
