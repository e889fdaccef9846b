"""Writes the inputs of the workloads that are too long to keep: always the same ones."""
import argparse
import json
import pathlib
import subprocess


def ninja_manifest():
    yield "rule cc\n  command = cc -c $in -o $out $flags\n  description = CC $out\n"
    yield "rule link\n  command = cc $in -o $out\n  pool = links\npool links\n  depth = 2\n"
    for directory in range(60):
        objects = []
        for unit in range(100):
            stem = f"part{directory}/unit{unit}"
            objects.append(f"out/{stem}.o")
            yield f"build out/{stem}.o: cc src/{stem}.c | src/{stem}.h src/part{directory}/all.h\n"
            yield f"  flags = -O2 -DUNIT={unit} -Iinclude/part{directory}\n"
        yield f"build out/part{directory}/program: link {' '.join(objects)}\n"


def xml_document():
    yield "<?xml version='1.0'?>\n<catalog xmlns:x='urn:example:x'>\n"
    for i in range(4000):
        yield (f"<item id='i{i}' class='c{i % 7}' x:rank='{i * 3}'><name>Item number {i}</name>"
               f"<!-- note {i} --><price currency='EUR'>{i}.99</price>"
               f"<text>Some words about item {i}, some &lt;more&gt; words.</text></item>\n")
    yield "</catalog>\n"


def sql_script():
    yield "create table person(id integer primary key, name text, city text, born int);\n"
    yield "create table visit(person int, place text, day int);\n"
    yield "create index by_city on person(city);\ncreate index by_day on visit(day, place);\n"
    yield "begin;\n"
    for i in range(3000):
        yield f"insert into person values({i}, 'Name {i}', 'City {i % 50}', {1900 + i % 100});\n"
        yield f"insert into visit values({i % 700}, 'place ' || {i % 90}, {i % 365});\n"
    yield "commit;\n"
    for i in range(40):
        yield f"create table t{i}(a int, b text default 'x{i}', c real, unique(a, b));\n"
        yield f"create view v{i} as select a, b || '{i}' as d from t{i} where c > {i};\n"
        yield f"create trigger g{i} after insert on t{i} begin insert into visit values(new.a, new.b, {i}); end;\n"
    for i in range(40):
        yield f"insert into t{i} select born, name, id from person where id % 40 = {i};\n"
    yield ("select city, count(*), group_concat(name) from person join visit on person.id = visit.person "
           "where day between 10 and 200 group by city having count(*) > 3 order by 2 desc;\n")
    yield "with recursive n(x) as (select 1 union all select x + 1 from n where x < 2000) select sum(x) from n;\n"
    for i in range(40):
        yield f"select d from v{i} order by d desc limit 3;\n"


def write(folder, name, lines):
    (folder / name).write_text("".join(lines), encoding="utf-8")


def base_schema():
    """Types that every part of a schema uses."""
    yield 'namespace Base.Types;\nattribute "priority";\nattribute "owner";\n'
    for i in range(40):
        yield f"/// What comes as kind {i}.\nenum Kind{i} : {['byte', 'short', 'uint'][i % 3]} {{\n"
        yield ",\n".join(f"  /// Value {j}.\n  Value{i}_{j} = {j * 3}" for j in range(8)) + "\n}\n"
    for i in range(40):
        yield f"/// A place in space {i}.\nstruct Place{i} {{ x:float; y:double; kind:Kind{i}; }}\n"


def part_schema(part):
    """Tables that name each other, with documentation, attributes and default values."""
    yield f'include "base.fbs";\nnamespace Part{part}.Records;\n'
    for i in range(120):
        yield f"/// A record of part {part}, number {i},\n/// with a second line of text.\n"
        yield f"table Record{i} (owner: \"somebody {i}\") {{\n"
        yield f"  /// Its name.\n  name{i}:string (key, priority: {i});\n"
        for j in range(6):
            yield f"  number{j}:{['int', 'ulong', 'float', 'short'][j % 4]} = {i + j};\n"
        yield f"  place:Base.Types.Place{i % 40};\n  kind:Base.Types.Kind{i % 40} = Value{i % 40}_2;\n"
        yield f"  texts:[string] (deprecated);\n  other:Record{i * 7 % 120};\n  all:[Record{i * 11 % 120}];\n"
        yield f"  bytes:[ubyte];\n}}\n"
    for i in range(20):
        members = ", ".join(f"Record{(i * 6 + j) % 120}" for j in range(5))
        yield f"union Any{i} {{ {members} }}\ntable Holder{i} {{ any:Any{i}; name:string; }}\n"
        yield (f"rpc_service Service{i} {{ Get{i}(Record{i}):Record{i + 1} (streaming: \"server\");\n"
               f"  Put{i}(Holder{i}):Holder{i}; }}\n")
    yield "table Root { items:[Record1]; holders:[Holder0]; }\nroot_type Root;\n"


def for_flatc(folder):
    write(folder, "base.fbs", base_schema())
    for part in range(6):
        write(folder, f"part{part}.fbs", part_schema(part))


def for_ninja(folder):
    write(folder, "build.ninja", ninja_manifest())
    for directory in range(60):
        parts = folder / "src" / f"part{directory}"
        parts.mkdir(parents=True, exist_ok=True)
        for name in ["all.h"] + [f"unit{unit}.{ending}" for unit in range(100) for ending in "ch"]:
            (parts / name).touch()


def people():
    for i in range(1500):
        yield {"name": f"Name {i}", "city": f"City {i % 37}", "age": i % 90, "tags": ["a", f"t{i % 11}"],
               "note": f"note {i}", "at": {"x": i * 0.5, "y": [i, None, i % 2 == 0]}}


LICENSES = ["GPL-2", "GPL-3", "LGPL-2", "Apache-2.0", "MPL-2.0"]


def license_lines():
    for name in LICENSES:
        path = pathlib.Path("/usr/share/common-licenses") / name
        yield from path.read_text(encoding="utf-8").splitlines(keepends=True)


def for_pdftotext(folder):
    """A book of licenses; the PDF comes from groff."""
    lines = (".LP\n" if not line.strip() else "\\&" + line for line in license_lines())
    with open(folder / "book.pdf", "wb") as pdf:
        subprocess.run(["groff", "-ms", "-Tpdf"], input="".join(lines).encode(), stdout=pdf, check=True)


def misspelt():
    """Words as a speller meets them: every seventh has two letters swapped."""
    for number, word in enumerate(" ".join(license_lines()).split()):
        yield (word[:1] + word[2:3] + word[1:2] + word[3:] if number % 7 == 0 else word) + "\n"


def manual_page():
    """A page in mdoc with nested lists and tables of options."""
    yield ".Dd January 1, 2026\n.Dt MANUAL 1\n.Os\n.Sh NAME\n.Nm manual\n.Nd a page with much in it\n"
    for chapter in range(60):
        yield f".Sh CHAPTER {chapter}\n.Bl -tag -width Ds\n"
        for item in range(25):
            yield (f".It Fl o{item} Ar file{chapter}\nReads\n.Pa /etc/file{item}.conf\nbefore\n"
                   f".Ev HOME{item}\nis looked at, see\n.Xr section{item} 5 .\n.Pp\nNever mind\n"
                   f".Em this\nor\n.Sy that ,\nnumber {item} of chapter {chapter}.\n")
            if item % 5 == 0:
                yield ".Bl -bullet -compact\n" + ".It\nOne\n.Ql point\nmore.\n" * 4 + ".El\n"
        yield ".El\n.TS\nbox;\nl c r.\n" + "".join(
            f"name {row}\tvalue {row}\t{row * 17}\n" for row in range(12)) + ".TE\n"


def call_graph():
    """Clusters of functions that call each other, and some across."""
    yield "digraph calls {"
    for unit in range(40):
        yield f'subgraph cluster_{unit} {{ label="unit {unit}";'
        for function in range(12):
            yield f'f{unit}_{function} [label="function {function}\\nof unit {unit}", shape=box];'
            yield f"f{unit}_{function} -> f{unit}_{(function * 5 + 1) % 12};"
        yield "}"
        yield f'f{unit}_0 -> f{(unit * 7 + 3) % 40}_3 [label="call {unit}"];'
    yield "}"


def classes():
    """C++ with classes that derive from each other, and functions with loops and branches."""
    for number in range(60):
        base = f" : public Class{number - 1}" if number % 4 else ""
        yield f"struct Class{number}{base} {{"
        for method in range(6):
            yield f"  int method{method}(const char* text, int count) {{"
            yield f"    int sum = {number + method};"
            yield "    for (int i = 0; i < count; ++i) { if (text[i] == 'x') sum += i * 2; }"
            yield f"    char* copy = new char[{8 + method}]; copy[{method}] = 1; delete[] copy;"
            yield f"    return sum > {number} ? sum : count;"
            yield "  }"
        yield f"  int member{number}; char name{number}[16];"
        yield "};"


INPUTS = {
    "cppcheck": lambda folder: write(folder, "classes.cpp", classes()),
    "dot": lambda folder: write(folder, "calls.dot", call_graph()),
    "qpdf": for_pdftotext,
    "flatc": for_flatc,
    "mandoc": lambda folder: write(folder, "manual.1", manual_page()),
    "troff": lambda folder: write(folder, "manual.1", manual_page()),
    "hunspell": lambda folder: write(folder, "words", misspelt()),
    "jq": lambda folder: write(folder, "people.json", [json.dumps(list(people()))]),
    "pdftotext": for_pdftotext,
    "ninja": for_ninja,
    "xmllint": lambda folder: write(folder, "document.xml", xml_document()),
    "sqlite3": lambda folder: write(folder, "script.sql", sql_script()),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("folder", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.program in INPUTS:
        INPUTS[arguments.program](arguments.folder)


if __name__ == "__main__":
    main()
