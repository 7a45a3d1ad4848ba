/** `chatrandom completion bash|zsh|fish`: the scripts ask the executable itself, so they never grow stale. */
import { basename } from "node:path";
import type { CommandModule } from "yargs";
import type { Caller } from "./caller.ts";
import { refuseFlags } from "./flags.ts";
import { WrongUse } from "./wrong-use.ts";

// yargs answers in the form of the shell that SHELL names, which is the login shell and not always the one that asks.
// The program asked is the one that is typed, which need not be on the PATH: `./chatrandom` or `~/chatrandom`.
const SCRIPTS: Record<string, string> = {
  bash: `_chatrandom() {
  local words program="\${1/#~\\//$HOME/}"
  mapfile -t words < <(SHELL=bash "$program" --get-yargs-completions "\${COMP_WORDS[@]}" 2>/dev/null)
  mapfile -t COMPREPLY < <(compgen -W "\${words[*]}" -- "\${COMP_WORDS[COMP_CWORD]}")
}
complete -o bashdefault -o default -F _chatrandom chatrandom
`,
  zsh: `#compdef chatrandom
_chatrandom() {
  local program=\${(Q)words[1]/#\\~\\//$HOME/}
  local -a words_found
  words_found=("\${(@f)$(SHELL=zsh "$program" --get-yargs-completions "\${words[@]}" 2>/dev/null)}")
  if [[ -n "\${words_found[*]}" ]]; then _describe 'chatrandom' words_found; else _default; fi
}
if [[ "\${zsh_eval_context[-1]}" == loadautofunc ]]; then _chatrandom "$@"; else compdef _chatrandom chatrandom; fi
`,
  fish: `function __chatrandom_words
  set -l typed (commandline -opc)
  set -l program (string replace -r '^~/' "$HOME/" -- $typed[1])
  SHELL=fish $program --get-yargs-completions $typed (commandline -ct) 2>/dev/null
end
complete -c chatrandom -a '(__chatrandom_words)'
`,
};
const SHELLS = Object.keys(SCRIPTS);

export const completion = ({ env, out, completing }: Caller): CommandModule => ({
  command: "completion [shell]",
  describe: "Print the script that completes commands and options in bash, zsh or fish",
  builder: (yargs) =>
    yargs
      .positional("shell", {
        type: "string",
        description: "bash, zsh or fish; without it, the one of SHELL",
        choices: completing ? SHELLS : undefined,
      })
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
