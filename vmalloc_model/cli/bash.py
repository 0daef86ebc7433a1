"""Completion in bash, which splits ``-p name=value`` at the equals sign; click does not."""

from __future__ import annotations

import os
from typing import Final

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    add_completion_class,
    split_arg_string,
)

__all__ = ["Bash"]

_SCRIPT: Final = """\
%(complete_func)s() {
    local IFS=$'\\n' type value
    while IFS=',' read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            part) compopt -o nospace; COMPREPLY+=("$value") ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done < <(COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD \\
             %(complete_var)s=bash_complete "$1")
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""


@add_completion_class
class Bash(BashComplete):
    """Joins the words that bash has split, and offers what goes on behind the equals sign."""

    source_template = _SCRIPT

    def get_completion_args(self) -> tuple[list[str], str]:
        """Words before the one that is typed, and that one."""
        words = split_arg_string(os.environ["COMP_WORDS"])
        place = int(os.environ["COMP_CWORD"])
        words = words[1:place] + (words[place : place + 1] or [""])
        joined: list[str] = []
        for word in words:
            if joined and (word == "=" or joined[-1].endswith("=")):
                joined[-1] += word
            else:
                joined.append(word)
        self._typed = joined.pop()
        return joined, self._typed

    def format_completion(self, item: CompletionItem) -> str:
        """Leave out what bash takes for another word; a name with ``=`` wants no blank behind."""
        head, sign, _ = self._typed.rpartition("=")
        value = str(item.value).removeprefix(head + sign)
        return f"{'part' if value.endswith('=') else item.type},{value}"
