"""Which type a label claims, and whether two names mean one type."""
import re

TEXT = "text"
NO_CLAIM = re.compile(r"^[\d,]+-byte blocks?$")
IS_TEXT = re.compile(r'^(text\b|string\b|")')
DROPPED = re.compile(r"\b(struct|class|union|enum|const|volatile)\b|\s+")
TEXT_TYPES = {"char", "char*", "char[]", "unsignedchar", "unsignedchar[]", TEXT}


def normalised(name):
    return DROPPED.sub("", name)


def claimed_type(label):
    """The type a label names, or None when it names none."""
    if not label or NO_CLAIM.match(label):
        return None
    return TEXT if IS_TEXT.match(label) else label


def is_same_type(claim, truth):
    claim, truth = normalised(claim), normalised(truth)
    return claim == truth or (claim == TEXT and truth in TEXT_TYPES)
