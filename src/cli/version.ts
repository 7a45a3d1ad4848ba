import type { CommandModule } from "yargs";
import { VERSION } from "../version.ts";
import type { Caller } from "./caller.ts";
import { refuseFlags } from "./flags.ts";

export const version = ({ out }: Caller): CommandModule => ({
  command: "version",
  describe: "Print the version",
  handler: (argv) => {
    refuseFlags(argv, "version");
    const { platform, arch, versions } = process;
    out(`chatrandom ${VERSION} (${platform} ${arch}, Node.js ${versions.node})\n`);
  },
});
