#!/usr/bin/python3
"""Adds to a truth what the blocks of each chain are: lines `type CHAIN NAME`.

A compiler forgets which type memory was asked for, so this is read from the source, by hand, once
per program, into a file of rules:

  FUNCTION          TYPE    a block asked for in FUNCTION is a TYPE; * is any function
  FUNCTION "REGEX"  TYPE    the same, where the calling line of source matches; \\1 in TYPE is what
                            the first group matched
  FUNCTION          -       FUNCTION only passes the request on: look at its caller

The frames of a chain are gone through from the allocator outwards, functions that were inlined
included; the first rule that fits decides, and a frame without a rule leaves the type unknown.
In C++ the standard allocator's own frame says the type: std::__new_allocator<T>::allocate, so do
those of std::string, known functions of the C library, and a line of source with `new T` or `(T*)malloc(`. Several names of one type are written A|B.
"""
import argparse
import pathlib
import re
import subprocess
from collections import defaultdict

STANDARD = re.compile(r"new_allocator<(.*)>::allocate\(")
NODE = re.compile(r"std::(?:_Rb_tree_node|_List_node|_Fwd_list_node|__detail::_Hash_node|_Sp_counted)")
STRING = re.compile(r"(?:^|\s)std::(?:__cxx11::)?basic_string<(char|wchar_t),[^()]*>::(?:_M_\w+|reserve)")
CAST = re.compile(r"\((?:struct\s+)?((?:const\s+)?[\w ]+?\s*\**?)\s*\*\)\s*(?:m|c|re)alloc\s*\(")
LIBRARY = {"__GI___strdup": "char", "__GI___strndup": "char", "__vasprintf_internal": "char",
           "__GI__IO_file_doallocate": "char", "__alloc_dir": "DIR|__dirstream",
           "__fopen_internal": "FILE|_IO_FILE|locked_FILE|_IO_FILE_plus",
           "std::basic_filebuf<char, std::char_traits<char> >::_M_allocate_internal_buffer": "char"}
NEW = re.compile(r"\bnew\s+(?:\(\w+\)\s*)?((?:\w+::)*\w+(?:<[^;()]*>)?\s*\**)")


def read_rules(lines):
    """[(function, regular expression or None, type or None)]"""
    rules = []
    for line in lines:
        match = re.match(r'([^\s#"]\S*)\s+(?:"([^"]*)"\s+)?(\S.*?)\s*$', line)
        if match:
            function, text, name = match.groups()
            rules.append((function, text, None if name == "-" else name))
    return rules


def read_chains(lines):
    """{module number: path}, {chain: [(module, offset)]}"""
    modules, chains = {}, {}
    for line in lines:
        words = line.split()
        if words[0] == "module":
            modules[words[1]] = words[3]
        elif words[0] == "chain":
            chains[words[1]] = [tuple(frame.split("+")) for frame in words[2:]]
    return modules, chains


def source_line(place):
    """The text at FILE:LINE."""
    path, _, number = place.partition(" ")[0].rpartition(":")
    try:
        with open(path, encoding="utf-8", errors="replace") as lines:
            return lines.readlines()[int(number) - 1]
    except (OSError, ValueError, IndexError):
        return ""


def functions_at(path, offsets):
    """{offset: [(function, text of the calling line), innermost first]}; the call is before it."""
    asked = [hex(int(offset, 16) - 1) for offset in offsets]
    answer = subprocess.run(["addr2line", "-a", "-f", "-i", "-C", "-e", path], text=True,
                            input="\n".join(asked), capture_output=True, check=False).stdout
    found, at = {}, None
    lines = iter(answer.splitlines())
    for line in lines:
        if line.startswith("0x"):
            at = hex(int(line, 16) + 1)
            found[at] = []
        else:
            found[at].append((line, source_line(next(lines, ""))))
    return found


def rule_for(function, text, rules):
    """The type, None to look further, or "" without a rule."""
    plain = function.split("(")[0].split(".")[0]
    for wanted, expression, name in rules:
        match = re.search(expression or "", text) if wanted in ("*", plain) else None
        if match:
            return name and match.expand(name)
    if plain in LIBRARY:
        return LIBRARY[plain]
    for expression, said in ((STANDARD, function), (STRING, function), (NEW, text), (CAST, text)):
        match = expression.search(said)
        if match:
            name = match.group(1).strip()
            is_array = expression is STANDARD and not NODE.match(name)
            return f"{name}|std::vector<{name}>::elements" if is_array else name
    return ""


def type_of(frames, rules):
    for function, text in frames:
        name = rule_for(function, text, rules)
        if name is not None:
            return name or None
    return None


def add_types(truth, rules_file):
    lines = [line for line in truth.read_text(encoding="utf-8").splitlines()
             if not line.startswith("type ")]
    rules = read_rules(rules_file.read_text(encoding="utf-8").splitlines())
    modules, chains = read_chains(lines)
    offsets = defaultdict(set)
    for frames in chains.values():
        for module, offset in frames:
            offsets[module].add(offset)
    named = {module: functions_at(modules[module], sorted(some))
             for module, some in offsets.items() if module in modules}
    for chain, frames in chains.items():
        functions = [f for module, offset in frames for f in named.get(module, {}).get(offset, [])]
        name = type_of(functions, rules)
        if name:
            lines.append(f"type {chain} {name}")
    truth.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("truth", type=pathlib.Path)
    parser.add_argument("rules", type=pathlib.Path)
    arguments = parser.parse_args()
    add_types(arguments.truth, arguments.rules)


if __name__ == "__main__":
    main()
