"""Which type a label claims, and whether two names mean one type.

A name is brought into a common form first: a part (what the block is to its owner) and a type.
"elements of std::vector in Polygon at +0x10" is elements of a type that is not told;
"std::vector<Point>::elements" is elements, Point; "struct session" is an object, session.
"""
import re
from typing import NamedTuple

OBJECT, TEXT, ELEMENTS, BUCKETS = "object", "text", "elements", "buckets"

# Labels that describe bytes and claim no type.
NO_CLAIM = re.compile(r"^$|^unknown type\b|^raw bytes$|^array of (numbers|pointers)$|^zero-filled$|"
                      r"^(numbers|pointers|zeros)\b|^block pointing to |^nothing but zeros$|"
                      r"^untouched since allocation$")
IS_TEXT = re.compile(r'^(text|string|strings|wide text)\b|^"|::text$')
# Blocks that say little about who made them: text, buffers, arrays of no told type.
SAYS_LITTLE = re.compile(r"^(text|char|wide text|string|array of (numbers|pointers)|raw bytes|zero-filled|zeros|"
                         r"untouched since allocation)\b")
TEXT_TYPES = {"char", "unsigned char", "signed char", "wchar_t", "char16_t", "char32_t"}

# The part a block is of a container, as heapscan says it and as the library's own type says it.
PARTS = [
    (re.compile(r"^elements of \S"), ELEMENTS), (re.compile(r"^buckets of \S"), BUCKETS),
    (re.compile(r"^node of std::(multi)?(map|set)\b"), "tree node"),
    (re.compile(r"^node of std::(forward_)?list\b"), "list node"),
    (re.compile(r"^node of std::unordered_"), "hash node"),
    (re.compile(r"^counts of std::shared_ptr\b"), "counts"),
]
LIBRARY_PARTS = [
    ("std::_Rb_tree_node<", "tree node"), ("std::_List_node<", "list node"),
    ("std::_Fwd_list_node<", "list node"), ("std::__detail::_Hash_node<", "hash node"),
    ("std::_Sp_counted_ptr<", "counts"), ("std::_Sp_counted_deleter<", "counts"),
]
KEYWORDS = re.compile(r"\b(struct|class|union|enum|const|volatile)\b")
LEFT_OUT = re.compile(r",(std::allocator|std::default_delete|std::less|std::hash|std::equal_to|"
                      r"std::char_traits)<")


class Name(NamedTuple):
    part: str
    type: str  # empty: not told


def without_arguments(name):
    """Without the arguments that a template's default would give it."""
    while match := LEFT_OUT.search(name):
        depth, end = 1, match.end()
        while depth and end < len(name):
            depth += {"<": 1, ">": -1}.get(name[end], 0)
            end += 1
        name = name[:match.start()] + name[end:]
    return name


def normalised(name):
    name = re.sub(r"\b(long|short) int\b", r"\1", KEYWORDS.sub("", name))
    name = re.sub(r"\b(long|short|char|int) unsigned\b(?: int)?", r"unsigned \1", name)
    name = name.replace("std::__cxx11::", "std::")
    name = without_arguments(re.sub(r"\s+", "", name))
    return name.replace("std::basic_string<char>", "std::string")


def bare(name):
    """The element of an array."""
    name = re.sub(r"^array of pointers to (.*)", r"\1 *", name.strip())
    name = re.sub(r"^array of ", "", name)
    return re.sub(r"\s*(\[\d*\])+$", "", name)


def parse(name):
    if IS_TEXT.search(name) or normalised(bare(name)) in map(normalised, TEXT_TYPES):
        return Name(TEXT, "")
    for expression, part in PARTS:
        if expression.match(name):
            return Name(part, "")
    if match := re.match(r"^std::\w+<(.*)>::elements$", name):
        return Name(ELEMENTS, normalised(match.group(1)))
    if name.endswith("::buckets") or normalised(bare(name)) == "std::__detail::_Hash_node_base*":
        return Name(BUCKETS, "")
    for begin, part in LIBRARY_PARTS:
        if name.startswith(begin):
            return Name(part, normalised(name))
    if name.startswith("std::_Sp_counted_ptr_inplace<"):
        return Name(OBJECT, "std::make_shared<" + normalised(name).split("<", 1)[1].split(",")[0] + ">")
    return Name(OBJECT, normalised(bare(name)))


def claimed_type(label):
    """The type a label names, or None when it names none."""
    return None if NO_CLAIM.match(label) else label


# What people call a type, and what its library does.
ALIASES = {"FILE": ["_IO_FILE", "locked_FILE", "_IO_FILE_plus"], "DIR": ["__dirstream"], "locale_t": ["__locale_struct"],
           "iconv_t": ["__gconv_info"], "X509": ["x509_st"], "SSL": ["ssl_st"], "SSL_SESSION": ["ssl_session_st"],
           "BIO": ["bio_st"], "PGresult": ["pg_result"], "sqlite3_stmt": ["Vdbe"], "deflate_state": ["internal_state"],
           "xmlXPathContext": ["_xmlXPathContext"], "GVariant": ["_GVariant"], "regex_t": ["re_pattern_buffer"]}


def names_of(claim):
    """Of "regex_t (re_dfa_t)" both."""
    match = re.match(r"^(\w+) \((\w+)\)$", claim)
    return list(match.groups()) if match else [claim, *ALIASES.get(claim, [])]


def is_same_type(claim, truth):
    """truth may be several names of one type: A|B. What the claim leaves out is not held against
    it: the arguments of a template, the scope a source line does not spell."""
    return any(agree(parse(said), parse(name)) for said in names_of(claim) for name in truth.split("|"))


def agree(said, true):
    if not said.type or not true.type:
        return said.part == true.part
    return said.type == true.type or said.type.endswith("::" + true.type)
