/**
 * Builds `dist/chatrandom`, the executable, and on the way `dist/server/chatrandom.cjs`, which runs the same from disk.
 * Each step is done again only when something that went into it has changed.
 */
import { copyFileSync, existsSync, mkdirSync } from "node:fs";
import { join, relative } from "node:path";
import { executable, executableFile } from "./build/executable.ts";
import { libraries } from "./build/libraries.ts";
import { licences } from "./build/licences.ts";
import { page } from "./build/page.ts";
import { server } from "./build/server.ts";
import { assets, locked, root, run, type Step } from "./build/step.ts";
import { coturn } from "./native/coturn.ts";
import { obtain } from "./native/program.ts";
import { valkey } from "./native/valkey.ts";

/** A copy of a file among the assets. */
const copy = (name: string, from: string): Step => ({
  name: name.replaceAll("/", "-"),
  key: `${locked()} ${from}`,
  outputs: [join(assets, name)],
  async make() {
    mkdirSync(join(assets, name, ".."), { recursive: true });
    copyFileSync(from, join(assets, name));
    return [from];
  },
});

/** The build of zeromq's addon that has CURVE and loads on every Linux with a C library of this century. */
const zeromqAddon = join(
  root,
  `node_modules/zeromq/build/linux/${process.arch}/node/glibc-127-Release/addon.node`,
);

if (!process.execPath.startsWith(join(root, "node_modules/"))) {
  throw new Error("run it as `npm run build`: it has to run on the Node that the executable is made of");
}
if (!existsSync(zeromqAddon))
  throw new Error(`${zeromqAddon} is missing: the executable can be built on Linux`);

const programs = [valkey, coturn].map((program) => ({ ...obtain(program), name: program.name }));
for (const { name, path } of programs) await run(copy(`programs/${name}`, path));
await run(copy("zeromq.node", zeromqAddon));
await run(licences(Object.fromEntries(programs.map(({ name, licence }) => [name, licence]))));
for (const library of libraries) await run(library);
await run(page);
await run(server);
if (await run(executable)) console.log(`built ${relative(process.cwd(), executableFile)}`);
