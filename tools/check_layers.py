#!/usr/bin/python3
"""Holds the source tree against the layer table of docs/architecture.md.

The table under the heading "Who may include whom" is the only place where the rules are written.
Checked are:

  * every #include of a heapscan header, in include/ and src/: the including layer's row must name
    the included layer, and a layer's private headers (those in src/) are for itself alone;
  * every #include of a third-party header: only in the layer that the table calls its home
    (fmt, which the text under the table frees, may be used everywhere);
  * every src/<layer>/CMakeLists.txt: DEPENDS may name only layers of the row, LIBRARIES only
    libraries that are at home there, and no other layer's target may be mentioned.

usage: check_layers.py [ROOT]
Prints one line per violation, `file:line: what is wrong`. Exit code 0 clean, 1 violations,
2 the table could not be read.
"""

import re
import sys
from pathlib import Path

HEADING = "Who may include whom"
NOTHING = {"–", "-", ""}

# How each name in the column "third-party home of" shows up in code. A name that is missing here
# stops the check: the table may not promise what nobody enforces.
HEADERS = {
    "oneTBB": ("tbb/", "oneapi/"),
    "fmt": ("fmt/",),
    "libelf": ("libelf.h", "gelf.h", "libelf/"),
    "zstd": ("zstd.h", "zstd_errors.h", "zdict.h"),
    "lzma": ("lzma.h", "lzma/"),
    "zlib": ("zlib.h", "zconf.h"),
    "lz4": ("lz4.h", "lz4frame.h", "lz4hc.h"),
    "libdw": ("elfutils/", "dwarf.h"),
    "ptrace": ("sys/ptrace.h", "linux/ptrace.h"),
    "/proc": (),
    "bpf": ("linux/bpf.h", "bpf/"),
    "perf events": ("linux/perf_event.h",),
    "capstone": ("capstone/", "capstone.h"),
    "nlohmann-json": ("nlohmann/",),
    "CLI11": ("CLI/",),
    "libedit": ("editline/", "histedit.h"),
}
TARGETS = {
    "oneTBB": ("TBB::",),
    "fmt": ("fmt::",),
    "libelf": ("PkgConfig::libelf",),
    "zstd": ("PkgConfig::libzstd",),
    "lzma": ("PkgConfig::liblzma",),
    "zlib": ("PkgConfig::zlib",),
    "lz4": ("PkgConfig::liblz4",),
    "libdw": ("PkgConfig::libdw",),
    "ptrace": (),
    "/proc": (),
    "bpf": (),
    "perf events": (),
    "capstone": ("PkgConfig::capstone",),
    "nlohmann-json": ("nlohmann_json::",),
    "CLI11": ("CLI11::",),
    "libedit": ("PkgConfig::libedit",),
}
EVERYWHERE = {"fmt"}
SYSTEM_TARGETS = ("Threads::Threads", "${CMAKE_DL_LIBS}")

INCLUDE = re.compile(r"^\s*#\s*include\b\s*(?P<what>.*)$")
QUOTED = re.compile(r'^(?:"(?P<quote>[^"]+)"|<(?P<angle>[^>]+)>)')


class TableError(Exception):
    pass


class Layer:
    def __init__(self, may_include, homes):
        self.may_include = may_include
        self.homes = homes


def read_table(path):
    """Returns {layer name: Layer} in the order of the rows."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise TableError(f"{path}: {error.strerror}") from error
    start = next((i for i, line in enumerate(lines)
                  if line.startswith("#") and HEADING in line), None)
    if start is None:
        raise TableError(f'{path}: no heading "{HEADING}"')

    rows = []
    for line in lines[start + 1:]:
        if line.startswith("#"):
            break
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip().strip("|").split("|")])
        elif rows:
            break
    if len(rows) < 3:
        raise TableError(f'{path}: no table under "{HEADING}"')
    header = rows[0]
    try:
        name_column = header.index("layer")
        include_column = header.index("may include")
        home_column = header.index("third-party home of")
    except ValueError as error:
        raise TableError(f"{path}: the table has lost a column: {error}") from error

    layers = {}
    for row in rows[2:]:
        if len(row) != len(header):
            raise TableError(f"{path}: row of {row[0]} has {len(row)} cells, not {len(header)}")
        name = row[name_column].strip("`")
        if not re.fullmatch(r"[a-z_]+", name) or name in layers:
            raise TableError(f'{path}: "{row[name_column]}" is not one new layer')
        cell = row[include_column]
        may_include = [] if cell in NOTHING else cell.split()
        for other in may_include:
            if other not in layers:  # rows only look up, so there can be no cycle
                raise TableError(f'{path}: {name} may include "{other}", which is no row above it')
        cell = row[home_column]
        homes = [] if cell in NOTHING else [home.strip() for home in cell.split(",")]
        for home in homes:
            if home not in HEADERS:
                raise TableError(f'{path}: {name} is home of "{home}", '
                                 "whose headers tools/check_layers.py does not know")
            if any(home in layer.homes for layer in layers.values()):
                raise TableError(f'{path}: "{home}" has two homes')
        layers[name] = Layer(set(may_include), set(homes))
    return layers


def library_of(name, patterns):
    for library, starts in patterns.items():
        for start in starts:
            if name == start or (start.endswith(("/", ":")) and name.startswith(start)):
                return library
    return None


class Checker:
    def __init__(self, root, layers):
        self.root = root
        self.layers = layers
        self.violations = []
        self.files = 0

    def report(self, path, line, text):
        self.violations.append(f"{path.relative_to(self.root)}:{line}: {text}")

    def run(self):
        for base in (self.root / "include" / "heapscan", self.root / "src"):
            for folder in sorted(base.iterdir()) if base.is_dir() else ():
                if folder.is_file():
                    if folder.name != "CMakeLists.txt":
                        self.report(folder, 1, "belongs to no layer")
                elif folder.name not in self.layers:
                    self.report(folder, 1, f'"{folder.name}" is not a layer of the table')
                else:
                    self.check_folder(folder)
        include = self.root / "include"
        for entry in sorted(include.iterdir()) if include.is_dir() else ():
            if entry.name != "heapscan":
                self.report(entry, 1, "include/ holds only heapscan/")
        if self.files == 0:
            raise TableError(f"{self.root}: no source files found below include/ and src/")

    def check_folder(self, folder):
        for path in sorted(folder.rglob("*")):
            if not path.is_file():
                continue
            if path.name == "CMakeLists.txt" or path.suffix == ".cmake":
                self.check_cmake(path, folder.name)
            else:
                self.check_source(path, folder.name)

    # ---- sources --------------------------------------------------------------------------------

    def check_source(self, path, layer):
        self.files += 1
        # A backslash at the end of a line joins it to the next; keep the line count.
        text = path.read_text(encoding="utf-8", errors="replace").replace("\\\n", " \x00")
        number = 1
        for line in text.splitlines():
            match = INCLUDE.match(line.replace("\x00", ""))
            if match:
                self.check_include(path, number, layer, match["what"].strip())
            number += 1 + line.count("\x00")

    def check_include(self, path, line, layer, what):
        match = QUOTED.match(what)
        if not match:
            self.report(path, line, f"cannot tell what `#include {what}` includes")
            return
        name = match["quote"] or match["angle"]
        parts = Path(name).parts

        # Beside the including file: that is what the compiler tries first for quotes.
        if match["quote"] is not None:
            beside = (path.parent / name).resolve()
            if beside.is_file() or ".." in parts:
                self.check_private(path, line, layer, name, beside)
                return
        if parts[0] == "heapscan":
            self.check_public(path, line, layer, name, parts)
        elif (self.root / "src" / name).is_file():
            self.check_private(path, line, layer, name, (self.root / "src" / name).resolve())
        elif match["quote"] is not None and parts[0] in self.layers and len(parts) > 1:
            if parts[0] != layer:
                self.report(path, line, f"{layer} includes {name}, a private header of {parts[0]}")
        else:
            library = library_of(name, HEADERS)
            if library and library not in EVERYWHERE | self.layers[layer].homes:
                home = next((n for n, l in self.layers.items() if library in l.homes), "no layer")
                self.report(path, line,
                            f"{layer} includes <{name}>, but {library} is at home in {home}")

    def check_public(self, path, line, layer, name, parts):
        if len(parts) < 3 or parts[1] not in self.layers:
            self.report(path, line, f"{name} belongs to no layer")
        elif parts[1] != layer and parts[1] not in self.layers[layer].may_include:
            self.report(path, line, f"{layer} may not include {parts[1]} ({name})")

    def check_private(self, path, line, layer, name, target):
        """`target` is the included file itself, wherever the name led."""
        for base in (self.root / "include" / "heapscan", self.root / "src"):
            if base.resolve() not in target.parents:
                continue
            owner = target.relative_to(base.resolve()).parts[0]
            if base.name == "heapscan":
                self.check_public(path, line, layer, name, ("heapscan", owner, target.name))
            elif owner != layer:
                self.report(path, line, f"{layer} includes {name}, a private header of {owner}")
            elif (self.root / "include").resolve() in path.resolve().parents:
                self.report(path, line, f"a public header includes {name}, which is private")
            return
        self.report(path, line, f"{name} leads out of include/ and src/")

    # ---- CMake ----------------------------------------------------------------------------------

    def check_cmake(self, path, layer):
        self.files += 1
        text = re.sub(r"#.*", "", path.read_text(encoding="utf-8"))
        allowed = self.layers[layer].may_include

        def line_of(offset):
            return text.count("\n", 0, offset) + 1

        for call in re.finditer(r"\b(heapscan_layer|heapscan_program)\s*\(([^)]*)\)", text):
            keyword = None
            for word in re.finditer(r"\S+", call[2]):
                line = line_of(call.start(2) + word.start())
                if word[0] in ("SOURCES", "DEPENDS", "LIBRARIES"):
                    keyword = word[0]
                elif keyword is None:
                    if call[1] == "heapscan_layer" and word[0] != layer:
                        self.report(path, line, f"makes layer {word[0]} in the folder of {layer}")
                elif keyword == "DEPENDS":
                    # The executable of a layer is built on the layer itself.
                    own = call[1] == "heapscan_program" and word[0] == layer
                    if word[0] not in allowed and not own:
                        self.report(path, line, f"{layer} may not depend on {word[0]}")
                elif keyword == "LIBRARIES":
                    self.check_library(path, line, layer, word[0])
        # Whatever else mentions a layer's target: target_link_libraries and its relatives.
        for word in re.finditer(r"\bheapscan_([a-z_]+)\b", text):
            if word[1] in self.layers and word[1] != layer and word[1] not in allowed:
                self.report(path, line_of(word.start()), f"{layer} may not depend on {word[1]}")
        for call in re.finditer(r"\btarget_link_libraries\s*\(([^)]*)\)", text):
            for word in re.finditer(r"\S+", call[1]):
                if "::" in word[0]:
                    self.check_library(path, line_of(call.start(1) + word.start()), layer, word[0])

    def check_library(self, path, line, layer, target):
        if target in SYSTEM_TARGETS:
            return
        library = library_of(target, TARGETS)
        if library is None:
            self.report(path, line, f"{layer} links {target}, which no row of the table names")
        elif library not in EVERYWHERE | self.layers[layer].homes:
            self.report(path, line, f"{layer} links {target}, but is not the home of {library}")


def main(arguments):
    if len(arguments) > 2 or (len(arguments) == 2 and arguments[1].startswith("-")):
        print(__doc__.strip())
        return 0 if arguments[1] in ("-h", "--help") else 2
    root = Path(arguments[1] if len(arguments) == 2 else Path(__file__).parent.parent).resolve()
    try:
        checker = Checker(root, read_table(root / "docs" / "architecture.md"))
        checker.run()
    except TableError as error:
        print(error, file=sys.stderr)
        return 2
    for violation in checker.violations:
        print(violation)
    if not checker.violations:
        print(f"{checker.files} files keep to the table")
    return 1 if checker.violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
