"""Completion for bash: which words may come next, for each command as the program knows it.

The script is for bash 4 and later, with the package bash-completion or without it. It looks at the line itself,
because bash takes "@" and ":" for ends of words, and both stand in what is completed here.
"""

from __future__ import annotations

from collections.abc import Iterator

from docs.manual.tree import Argument, Command

KINDS = {
    "FILE": "file",
    "DIR": "directory",
    "DOMAIN": "domain",
    "ADDRESS": "account",
    "ACCOUNT": "account",
}
"""What a value is completed with, by how --help names it; others are left to the user."""

_SCRIPT = r"""# Completion of fedaemonctl for bash. Generated: run "make docs" when commands change.
#
# Domains and accounts are asked of fedaemonctl itself, where the store can be read; the answer is kept for ten
# seconds.

# For each command: what may stand behind it (commands, options), what an option's value is, and its arguments'.
declare -gA _fedaemonctl_next=(
@NEXT@)
declare -gA _fedaemonctl_value=(
@VALUES@)
declare -gA _fedaemonctl_argument=(
@ARGUMENTS@)
declare -gA _fedaemonctl_known=() _fedaemonctl_asked=()

# Set the names of all domains or accounts; none without access to the store.
_fedaemonctl_ask() {
    local key="$config $1"
    if [[ -z ${_fedaemonctl_asked[$key]} ]] || ((SECONDS - _fedaemonctl_asked[$key] > 10)); then
        _fedaemonctl_asked[$key]=$SECONDS
        _fedaemonctl_known[$key]=$(
            timeout 10 "$program" ${config:+--config "$config"} "$1" list 2>/dev/null </dev/null |
                while read -r name _; do [[ $name == *.* ]] && printf '%s\n' "$name"; done
        )
    fi
    mapfile -t COMPREPLY < <(compgen -W "${_fedaemonctl_known[$key]}" -- "$word")
}

# Complete a value of that kind, or one of these words.
_fedaemonctl_fill() {
    case $1 in
        @file) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
        @directory) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
        @domain | @account) _fedaemonctl_ask "${1#@}" ;;
        @*) ;;
        *) mapfile -t COMPREPLY < <(compgen -W "$1" -- "$word") ;;
    esac
}

_fedaemonctl() {
    local line=${COMP_LINE:0:COMP_POINT} program=$1 path=fedaemonctl config= before= option= given=0 word each
    local -a words
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    word=${words[-1]}
    COMPREPLY=()
    for each in "${words[@]:1:${#words[@]}-2}"; do
        if [[ -n $option ]]; then
            [[ $option == -c || $option == --config ]] && config=$each
            option=
        elif [[ $each == -* ]]; then
            [[ -n ${_fedaemonctl_value["$path $each"]} ]] && option=$each
        elif [[ -n ${_fedaemonctl_next["$path $each"]} ]]; then
            path="$path $each"
        else
            ((given++))
        fi
    done
    config=${config/#\~/$HOME}
    if [[ -n $option ]]; then
        _fedaemonctl_fill "${_fedaemonctl_value["$path $option"]}"
    elif [[ $word == -* ]]; then
        _fedaemonctl_fill "${_fedaemonctl_next["$path"]}"
    else
        local -a arguments
        read -ra arguments <<<"${_fedaemonctl_argument["$path"]}"
        local last=$((${#arguments[@]} - 1))
        ((last >= 0 && given > last)) && [[ ${arguments[last]} == *... ]] && given=$last
        if [[ -n ${arguments[given]} ]]; then
            _fedaemonctl_fill "${arguments[given]%...}"
        else
            before=" ${_fedaemonctl_next["$path"]}"
            _fedaemonctl_fill "${before%% -*}"
        fi
    fi
    # bash replaces only what stands behind the last of these characters, and with "@" that one, too.
    for each in : = @; do
        if [[ $word == *"$each"* && $COMP_WORDBREAKS == *"$each"* ]]; then
            before=${word%"${word##*"$each"}"}
            [[ $each == @ ]] && before=${before%@}
            COMPREPLY=("${COMPREPLY[@]#"$before"}")
            word=${word#"$before"}
        fi
    done
}

complete -F _fedaemonctl fedaemonctl
"""


def script(tree: Command) -> str:
    """Return the script for all commands of *tree*."""
    commands = tree.everything()
    following = {_key(each): " ".join(_following(each)) for each in commands}
    values = {key: kind for each in commands for key, kind in _values(each)}
    arguments = {
        _key(each): " ".join(map(_argument, each.positionals)) for each in commands if each.positionals
    }
    return (
        _SCRIPT.replace("@NEXT@", _table(following))
        .replace("@VALUES@", _table(values))
        .replace("@ARGUMENTS@", _table(arguments))
    )


def _key(command: Command) -> str:
    return " ".join(("fedaemonctl", *command.path))


def _table(entries: dict[str, str]) -> str:
    return "".join(f'    ["{key}"]="{value}"\n' for key, value in entries.items())


def _following(command: Command) -> Iterator[str]:
    yield from (each.path[-1] for each in command.commands)
    for option in command.options:
        yield from option.names


def _values(command: Command) -> Iterator[tuple[str, str]]:
    """Give what the values of the options are; those that need not have one are left to the user."""
    for option in command.options:
        if option.value and not option.optional:
            for name in option.names:
                yield (
                    f"{_key(command)} {name}",
                    " ".join(option.choices) or f"@{KINDS.get(option.value, 'any')}",
                )


def _argument(argument: Argument) -> str:
    if argument.choices:
        raise ValueError(f"{argument.value}: completion of such an argument is to be written")
    return f"@{KINDS.get(argument.value, 'any')}" + "..." * argument.many
