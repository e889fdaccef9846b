"""The real programs that the accuracy figures are taken from, and what each of them does.

DEVELOPMENT programs may be looked at while heapscan is worked on. TEST programs may not: their
figures are taken, and nothing is changed because of one of them.

In `command`, {program} is the executable, {here} this folder, {inputs} what make_inputs.py wrote,
{sources} where the source packages are unpacked. It runs in an empty folder.
"""
from dataclasses import dataclass, field

DEVELOPMENT, TEST = "development", "test"


@dataclass(frozen=True)
class Program:
    name: str
    half: str
    language: str
    command: list[str]
    package: str = ""  # installed from the distribution, no debug information ...
    why: str = ""
    source: str = ""  # ... or built from this source package with -g -O2
    build: str = ""  # shell, in the unpacked source
    executable: str = ""  # within the unpacked source
    needs: list[str] = field(default_factory=list)  # packages to build or run it
    at: str = "exit"  # when the truth is taken: at exit, or after so many allocations
    leak: int = 40  # percent of callers whose blocks are not freed


PROGRAMS = [
    Program(
        "gawk", DEVELOPMENT, "C", ["{program}", "-f", "{here}/workloads/gawk.awk"],
        source="gawk", executable="gawk",
        build="./configure CFLAGS='-g -O2' --disable-nls --without-readline --without-mpfr "
              "--disable-extensions && make -C support && make gawk"),
    Program(
        "lua", DEVELOPMENT, "C", ["{program}", "{here}/workloads/lua.lua"],
        source="lua5.4", executable="src/lua", at="56000",
        build="cd src && echo '#define DEB_HOST_MULTIARCH \"\"' > lua5.4-deb-multiarch.h && "
              "gcc -g -O2 -DLUA_USE_LINUX -o lua $(ls *.c | grep -v luac.c) -lm -ldl -Wl,-E"),
    Program(
        "ninja", DEVELOPMENT, "C++", ["{program}", "-C", "{inputs}", "-n"],
        source="ninja-build", executable="ninja", leak=60,
        build="CXXFLAGS='-g -O2' python3 configure.py && ninja -j1 ninja",
        needs=["ninja-build"]),
    Program(
        "mandoc", DEVELOPMENT, "C",
        ["sh", "-c", "exec {program} -T utf8 {inputs}/manual.1 {inputs}/manual.1 >page"],
        source="mandoc", executable="mandoc", leak=60,
        build="echo 'CFLAGS=\"-g -O2\"' > configure.local && ./configure && make mandoc",
        needs=["zlib1g-dev"]),
    Program(
        "flatc", DEVELOPMENT, "C++",
        ["{program}", "-b", "-I", "{inputs}"] + [f"{{inputs}}/part{i}.fbs" for i in range(6)],
        source="flatbuffers", executable="flatc", at="125000", leak=60,
        build="objects=$(ls src/*.cpp grpc/src/compiler/*.cc | grep -v flathash | "
              "sed 's/[.][^.]*$/.o/') && "
              "make -j2 CXXFLAGS='-g -O2 -Iinclude -Igrpc' $objects && g++ -o flatc $objects"),
    Program(
        "gdb", DEVELOPMENT, "C++",
        ["{program}", "-nx", "-batch", "-ex", "break main", "-ex", "info types Edge", "-ex",
         "ptype Builder", "-ex", "info line BuildLog::Load", "-ex", "info scope main", "-ex",
         "disassemble main", "{sources}/ninja/ninja"],
        package="gdb", why="a large program with containers, obstacks and interned strings"),
    Program(
        "vim", DEVELOPMENT, "C",
        ["{program}", "-es", "-N", "-u", "NONE", "-S", "{here}/workloads/vim.vim"],
        package="vim", why="an editor with a language of its own"),
    Program(
        "xmllint", DEVELOPMENT, "C",
        ["{program}", "--noout"] + ["{inputs}/document.xml"] * 3,
        package="libxml2-utils", why="a library's tree of small nodes and strings", at="240000"),
    Program(
        "sqlite3", DEVELOPMENT, "C",
        ["{program}", "-lookaside", "0", "0", "-cmd", ".read {inputs}/script.sql", ":memory:",
         ".schema"],
        package="sqlite3", why="wraps malloc three deep", at="200000", leak=60),
    Program(
        "redis", DEVELOPMENT, "C", ["python3", "{here}/workloads/redis.py"],
        source="redis", executable="src/redis-server", at="400000", leak=60,
        build="make -C src MALLOC=libc OPTIMIZATION=-O2 CFLAGS=-g redis-server"),
    Program(
        "zsh", DEVELOPMENT, "C", ["{program}", "-f", "{here}/workloads/zsh.zsh"],
        source="zsh", executable="Src/zsh", leak=80,
        build="./configure CFLAGS='-g -O2' --with-tcsetpgrp --disable-gdbm --disable-pcre "
              "--disable-cap --disable-dynamic && make -C Src EXELDFLAGS= zsh",
        needs=["libncurses-dev"]),
    Program(
        "gnuplot", TEST, "C", ["{program}", "{here}/workloads/gnuplot.gp"],
        package="gnuplot-nox", why="plots, expressions and options"),
    Program(
        "troff", TEST, "C++",
        ["sh", "-c", "exec {program} -Tutf8 -mandoc {inputs}/manual.1 >page"],
        package="groff-base", why="C++ with containers of its own", leak=60, at="150000"),
    Program(
        "doxygen", TEST, "C++", ["{program}", "{here}/workloads/doxygen.conf"],
        package="doxygen", why="many classes, strings and containers", needs=["g++-12"], at="900000"),
    Program(
        "pdftotext", TEST, "C++", ["{program}", "-layout", "{inputs}/book.pdf", "text"],
        package="poppler-utils", why="a library of C++ with objects of its own", needs=["groff"]),
    Program(
        "curl", TEST, "C", ["sh", "{here}/workloads/curl.sh"],
        package="curl", why="connections, headers and caches of a network library"),
    Program(
        "dot", TEST, "C", ["{program}", "-Tsvg", "-o", "calls.svg", "{inputs}/calls.dot"],
        package="graphviz", why="graphs, their layout and drawing"),
    Program(
        "cppcheck", TEST, "C++",
        ["{program}", "--enable=all", "--quiet", "{inputs}/classes.cpp"],
        package="cppcheck", why="tokens, scopes and values of a compiler's front end", at="600000"),
    Program(
        "qpdf", TEST, "C++",
        ["{program}", "--qdf", "--object-streams=disable", "{inputs}/book.pdf", "out.pdf"],
        package="qpdf", why="shared pointers to objects of many kinds", needs=["groff"]),
    Program(
        "tmux", TEST, "C", ["sh", "{here}/workloads/tmux.sh"],
        source="tmux", executable="tmux", at="150000",
        build="./configure CFLAGS='-g -O2' && make tmux",
        needs=["libevent-dev", "libncurses-dev", "bison", "pkg-config"]),
    Program(
        "jq", TEST, "C", ["{program}", "-f", "{here}/workloads/jq.jq", "{inputs}/people.json"],
        source="jq", executable="jq", at="200000",
        build="autoreconf -i; ./configure CFLAGS='-g -O2' --disable-shared --disable-docs "
              "--disable-maintainer-mode && make src/builtin.inc && make jq",
        needs=["libonig-dev", "autoconf", "automake", "libtool", "bison", "flex"]),
    Program(
        "hunspell", TEST, "C++",
        ["{program}", "-d", "/usr/share/hunspell/en_US", "-a", "{inputs}/words"],
        source="hunspell", executable="hunspell", at="500000",
        build="touch config.h && g++ -g -O2 -I. -DHUNSPELL_STATIC -DHUNSPELL_VERSION='\"1\"' -DPACKAGE_VERSION='\"1\"' "
              "-DVERSION='\"1\"' -Isrc -Isrc/hunspell -Isrc/parsers "
              "src/hunspell/*.cxx $(ls src/parsers/*parser.cxx | grep -v testparser) src/tools/hunspell.cxx -o hunspell",
        needs=["hunspell-en-us"]),
]
