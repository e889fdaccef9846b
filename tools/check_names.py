#!/usr/bin/python3
"""Finds types of one name that are defined twice in src/ and include/.

Two structs, classes or enumerations of one name in one namespace, in two files, are one type to the
linker. No compiler sees both, and whichever inline function it keeps works on the other's members.

A type in an anonymous namespace belongs to its layer, for layers are compiled several files at a time:
two of one name clash there, and one clashes with a type that is in no anonymous namespace, whose
header another file may include. Types within functions belong to the function.

usage: check_names.py [ROOT]
Prints one line per pair, `file:line: what is wrong`. Exit code 0 clean, 1 pairs found, 2 no sources.
"""

import bisect
import re
import sys
from pathlib import Path

# What is no code: comments, strings and characters (a quote within a number is none), and lines of
# the preprocessor, continued ones as well.
NO_CODE = re.compile(
    r"""//[^\n]*|/\*.*?\*/|R"(?P<end>[^\s()\\]{0,16})\(.*?\)(?P=end)"|"(?:\\.|[^"\\\n])*"|"""
    r"""(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'|^[ \t]*\#(?:[^\n]*\\\n)*[^\n]*""",
    re.DOTALL | re.MULTILINE)
TOKEN = re.compile(r"[{};]")
NAMESPACE = re.compile(r"\b(?:inline\s+)?namespace(?:\s+(?P<name>[\w:]+))?\s*$")
# The words in front of a brace. A parenthesis or an equals sign behind the name: a function or a
# value of that type.
TYPE = re.compile(
    r"\b(?P<kind>enum\s+(?:class|struct)|enum|struct|class|union)\b"
    r"(?:\s*\[\[[^\]]*\]\]|\s*alignas\s*\([^)]*\))*"
    r"(?:\s+(?P<name>\w+(?:\s*<[^{}();=]*>)?(?:::\w+)*))?(?:\s+final)?\s*(?::(?!:)[^{}()=]*)?$")


def blanked(match):
    return re.sub(r"[^\n]", " ", match[0])


def definitions(text):
    """Yields (scope, kind, name, line); a scope is a list of names, "" for an anonymous namespace."""
    text = NO_CODE.sub(blanked, text)
    newlines = [match.start() for match in re.finditer("\n", text)]
    scopes = []  # of each open brace: its name, or None within which nothing counts
    begin = 0    # of the words in front of the next brace
    for token in TOKEN.finditer(text):
        words = text[begin:token.start()]
        begin = token.end()
        if token[0] == ";":
            continue
        if token[0] == "}":
            if scopes:
                scopes.pop()
            continue
        if None in scopes:
            scopes.append(None)
            continue
        space = NAMESPACE.search(words)
        kind = None if space else TYPE.search(words)
        if space:
            scopes.append(space["name"] or "")
        elif kind and kind["name"] and not re.search(r"[()=]", words[:kind.start()].rpartition(">")[2]):
            name = re.sub(r"\s+", "", kind["name"])
            line = bisect.bisect(newlines, token.start()) + 1
            line -= words[kind.start():].count("\n")
            yield list(scopes), re.sub(r"\s+", " ", kind["kind"]), name, line
            scopes.append(name)
        else:
            scopes.append(None)


def find_pairs(root):
    """Returns (number of files, violations)."""
    first = {}
    shared = []  # in anonymous namespaces of files that are compiled together
    files = 0
    violations = []
    for base in (root / "include" / "heapscan", root / "src"):
        for path in sorted(base.rglob("*")):
            if path.suffix not in (".h", ".cpp"):
                continue
            files += 1
            shown = path.relative_to(root)
            layer = path.relative_to(base).parts[0]
            own = f"src/{layer}"
            for scope, kind, name, line in definitions(path.read_text(encoding="utf-8")):
                qualified = "::".join([part or "(anonymous)" for part in scope] + [name])
                key = (qualified, own if "" in scope else None)
                at = first.setdefault(key, (shown, line))
                if at != (shown, line):
                    violations.append(f"{shown}:{line}: {kind} {qualified} is defined here and in "
                                      f"{at[0]}:{at[1]}")
                elif "" in scope and own != str(shown):
                    shared.append((shown, line, kind, "::".join([*filter(None, scope), name]), own))
    for shown, line, kind, name, own in shared:
        at = first.get((name, None))
        if at and str(at[0]).startswith(("include/", own + "/")):  # other layers' own are not seen
            violations.append(f"{shown}:{line}: {kind} (anonymous) {name} is defined here, and "
                              f"another {name} in {at[0]}:{at[1]}")
    return files, violations


def main(arguments):
    if len(arguments) > 2 or (len(arguments) == 2 and arguments[1].startswith("-")):
        print(__doc__.strip())
        return 0 if arguments[1] in ("-h", "--help") else 2
    root = Path(arguments[1] if len(arguments) == 2 else Path(__file__).parent.parent).resolve()
    files, violations = find_pairs(root)
    if files == 0:
        print(f"{root}: no source files found below include/ and src/", file=sys.stderr)
        return 2
    for violation in violations:
        print(violation)
    if not violations:
        print(f"each type of {files} files has a name of its own")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
