import type { CommandModule } from "yargs";
import { assetNames, assetText } from "../embedded/assets.ts";
import { VERSION } from "../version.ts";
import type { Caller } from "./caller.ts";
import { refuseFlags } from "./flags.ts";

export const version = ({ out }: Caller): CommandModule => ({
  command: "version",
  describe: "Print the version",
  builder: (yargs) =>
    yargs.option("licenses", {
      type: "boolean",
      description: "Print the licenses of everything that is inside",
    }),
  handler: (argv) => {
    refuseFlags(argv, "version", ["licenses"]);
    const { platform, arch, versions } = process;
    if (argv.licenses)
      for (const name of assetNames("licences/")) out(`${assetText(name)}\n${"=".repeat(78)}\n\n`);
    else out(`chatrandom ${VERSION} (${platform} ${arch}, Node.js ${versions.node})\n`);
  },
});
