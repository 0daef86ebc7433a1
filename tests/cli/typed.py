"""Commands as documents show them: found, and parsed without being run."""

import re
import shlex

import click

from vmalloc_model.cli import cli
from vmalloc_model.cli.values import workload_parameters
from vmalloc_model.parameters import checked
from vmalloc_model.report.overrides import Given, overrides_of
from vmalloc_model.report.project import Project
from vmalloc_model.report.runner import defaults
from vmalloc_model.workloads import find_workload

_FENCE = re.compile(r"^ *(`{3,}|:{3,})([^\n]*)\n(.*?)^ *\1 *$", re.M | re.S)
_SHELL = ("", "sh", "{transcript}")
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_PROGRAM = re.compile(r"(\S*/)?\b(vmalloc-model|make) ")
_BLANKS = "<>|;&()"


def shown_commands(text):
    """Lines of code in a document that call ``vmalloc-model`` or ``make``, as words."""
    shell = [match[3] for match in _FENCE.finditer(text) if match[2] in _SHELL]
    shell = [block for block in shell if not block.startswith(":status:")]  # wrong on purpose
    lines = [line for block in shell for line in _logical(block) if _PROGRAM.search(line)]
    inline = _INLINE.findall(_FENCE.sub("", text))
    # a bare name in a sentence means the command, not a call of it
    named = [f"{code} --help" if code.count(" ") == 1 else code for code in inline]
    lines += [code for code in named if _PROGRAM.match(code)]
    return [words for line in lines for words in _calls(line)]


def examples(help_text):
    """Lines below ``Example:`` or ``Examples:`` of a command's help."""
    _, _, tail = help_text.partition("\b\nExample")
    return list(_logical(tail.partition("\n")[2].partition("\n\n")[0]))


def _logical(text):
    for line in re.sub(r"\\\n *", "", text).splitlines():
        if line.strip() and not line.strip().startswith(("#", ":")):
            yield line.strip()


def _calls(line):
    """Each call of a program in a line of shell, up to what belongs to the shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=_BLANKS)
    lexer.whitespace_split = True
    words = []
    for word in [*lexer, ";"]:
        if word and set(word) <= set(_BLANKS):
            name = words[0].rpartition("/")[2] if words else ""
            if name in ("vmalloc-model", "make"):
                yield [name, *words[1:]]
            words = []
        else:
            words.append(word)


def parse(words):
    """Parse what stands behind ``vmalloc-model``, down to names of chapters and parameters.

    Raises what the program would refuse; files of the reader may be missing.
    """
    parent = click.Context(cli, info_name="vmalloc-model")
    if words == ["--version"]:
        return
    name, command, rest = cli.resolve_command(parent, list(words))
    if {"-h", "--help"} & set(rest):
        return
    try:
        context = command.make_context(name, rest, parent=parent)
    except click.exceptions.Exit:  # an option such as --list-metrics, which ends the command
        return
    given = context.params.get("given") or ()
    if name == "run":
        project = Project.at()
        names = list(context.params["notebooks"]) or project.names()
        # a reader's own recording does not exist here; a recorded run stands in for it
        typed = [
            Given(key, re.sub(r"\bmy-[\w.-]+|\brun\.npz", "smp2", text)) for key, text in given
        ]
        for notebook, values in overrides_of(project, names, [], typed).items():
            checked(**(defaults(project, notebook) | values))
    elif name == "simulate":
        workload_parameters(find_workload(context.params["workload"]), given)
    elif name == "params" and context.params["notebook"]:
        Project.at().source(context.params["notebook"])
