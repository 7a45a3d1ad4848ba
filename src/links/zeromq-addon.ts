/**
 * ZeroMQ's native addon, the one with CURVE. zeromq's own loader takes the build for the newest Node it finds, which
 * has no CURVE or needs a newer C library than many machines have. To be imported before zeromq itself: its loader
 * finds its work done. In the bundle this module stands in place of that loader.
 */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { isSea } from "node:sea";
import { loadAddon } from "../embedded/addon.ts";

/** Where zeromq keeps the builds with CURVE for this machine; the first that loads is right. */
const BUILDS: Record<string, string[]> = {
  linux: ["glibc-127-Release", "musl-127-Release"],
  darwin: ["libc-115-Release"],
  win32: ["msvc-115-Release"],
};

export default isSea() ? loadAddon("zeromq.node") : loadInstalled();

function loadInstalled(): unknown {
  const require = createRequire(import.meta.url);
  const loader = require.resolve("zeromq/lib/load-addon.js");
  const addon = load(join(dirname(loader), "..", "build", process.platform, process.arch, "node"));
  require.cache[loader] = {
    exports: { __esModule: true, default: addon },
    loaded: true,
  } as unknown as NodeJS.Module;
  return addon;
}

function load(folder: string): unknown {
  const errors: unknown[] = [];
  for (const build of BUILDS[process.platform] ?? []) {
    const module = { exports: {} };
    try {
      process.dlopen(module, join(folder, build, "addon.node"));
      return module.exports;
    } catch (error) {
      errors.push(error);
    }
  }
  throw new AggregateError(errors, `zeromq has no build with CURVE for ${process.platform} ${process.arch}`);
}
