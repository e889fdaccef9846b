"""Profiles of pprof, read on their own terms: profile.proto in the encoding of protocol buffers."""


def fields(message):
    """Number and value of each field of a message in the encoding of protocol buffers."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        elif key & 7 == 2:
            size = varint()
            yield key >> 3, message[at:at + size]
            at += size
        else:
            raise AssertionError(f"wire type {key & 7}")


def numbers(packed):
    values = []
    value = shift = 0
    for byte in packed:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            values.append(value)
            value = shift = 0
    return values


class Profile:
    """A profile.proto, read on its own terms."""

    def __init__(self, data):
        top = list(fields(data))
        texts = [value.decode() for number, value in top if number == 6]
        functions = {}
        for number, value in top:
            if number == 5:
                function = dict(fields(value))
                functions[function[1]] = texts[function[2]]
        places = {}
        for number, value in top:
            if number == 4:
                parts = list(fields(value))
                lines = [functions[dict(fields(v))[1]] for n, v in parts if n == 4]
                places[dict(parts)[1]] = lines or [None]
        self.types = []
        self.samples = []
        for number, value in top:
            if number == 1:
                kind = dict(fields(value))
                self.types.append(f"{texts[kind[1]]}/{texts[kind[2]]}")
            elif number == 2:
                sample = dict(fields(value))
                self.samples.append(([name for place in numbers(sample[1]) for name in places[place]],
                                     numbers(sample[2])))
        self.default = texts[dict(top)[14]]
        if texts[0] != "":
            raise AssertionError("the first text is to be empty")
