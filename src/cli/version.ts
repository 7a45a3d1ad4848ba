import type { CommandModule } from "yargs";
import { VERSION } from "../version.ts";
import { refuseFlags } from "./flags.ts";

export const version: CommandModule = {
  command: "version",
  describe: "Print the version",
  handler: (argv) => {
    refuseFlags(argv, "version");
    const { platform, arch, versions } = process;
    process.stdout.write(`chatrandom ${VERSION} (${platform} ${arch}, Node.js ${versions.node})\n`);
  },
};
