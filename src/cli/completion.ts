/** `chatrandom completion bash|zsh|fish`: the scripts ask the executable itself, so they never grow stale. */
import { basename } from "node:path";
import type { CommandModule } from "yargs";
import type { Caller } from "./caller.ts";
import { refuseFlags } from "./flags.ts";
import { WrongUse } from "./wrong-use.ts";

// yargs answers in the form of the shell that SHELL names, which is the login shell and not always the one that asks.
const SCRIPTS: Record<string, string> = {
  bash: `_chatrandom() {
  local words
  mapfile -t words < <(SHELL=bash chatrandom --get-yargs-completions "\${COMP_WORDS[@]}")
  mapfile -t COMPREPLY < <(compgen -W "\${words[*]}" -- "\${COMP_WORDS[COMP_CWORD]}")
}
complete -o bashdefault -o default -F _chatrandom chatrandom
`,
  zsh: `#compdef chatrandom
_chatrandom() {
  local -a words_found
  words_found=("\${(@f)$(SHELL=zsh chatrandom --get-yargs-completions "\${words[@]}")}")
  if [[ -n "\${words_found[*]}" ]]; then _describe 'chatrandom' words_found; else _default; fi
}
if [[ "\${zsh_eval_context[-1]}" == loadautofunc ]]; then _chatrandom "$@"; else compdef _chatrandom chatrandom; fi
`,
  fish: `complete -c chatrandom -a '(SHELL=fish chatrandom --get-yargs-completions (commandline -opc) (commandline -ct))'
`,
};

export const completion = ({ env, out }: Caller): CommandModule => ({
  command: "completion [shell]",
  describe: "Print the script that completes commands and options in bash, zsh or fish",
  builder: (yargs) =>
    yargs
      .positional("shell", { type: "string", description: "bash, zsh or fish; without it, the one of SHELL" })
      .example("source <($0 completion bash)", "In ~/.bashrc")
      .example("source <($0 completion zsh)", "In ~/.zshrc")
      .example("$0 completion fish | source", "In ~/.config/fish/config.fish"),
  handler: (argv) => {
    refuseFlags(argv, "completion", ["shell"]);
    const shell = String(argv.shell ?? basename(env.SHELL ?? "bash"));
    const script = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell] : undefined;
    if (script === undefined)
      throw new WrongUse(`no completion for ${JSON.stringify(shell)}: bash, zsh and fish have one`);
    out(script);
  },
});
