#!/usr/bin/python3
"""Holds a JSON report against its schema.

Fields may be added within a version of the schema, so it lets unknown ones pass. What is written here and now may hold
no field that the schema does not know. Every group must have a key of its own: its id and its verdict.

usage: validate_json.py SCHEMA FILE
Prints one line per violation. Exit code 0 valid, 1 violations, 2 a file could not be read.
"""

import json
import sys

from jsonschema import Draft202012Validator


def closed(schema):
    """The schema with every object that lists its properties closed to others."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: closed(part) for key, part in schema.items()}
    if schema.get("type") == "object" and "properties" in schema:
        result["additionalProperties"] = False
    return result


def unique_members(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member appears twice")
    return members


def parse(text):
    """The JSON value; stricter than json.loads."""
    return json.loads(text, object_pairs_hook=unique_members)


def validator_of(schema):
    """For many values of one schema: making it takes longer than using it."""
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(closed(schema))


def violations(schema, report):
    return violations_by(validator_of(schema), report)


def violations_by(validator, report):
    found = sorted(validator.iter_errors(report), key=lambda error: [str(part) for part in error.path])
    return [f"{'/'.join(str(part) for part in error.path) or '(top)'}: {error.message}" for error in found]


def repeated_keys(report):
    """Groups with the id and the verdict of another one."""
    keys = [(group["id"], group["verdict"]) for group in report["leaks"]]
    return [f"leaks: {key} appears twice" for key in sorted(set(keys)) if keys.count(key) > 1]


def main(arguments):
    if len(arguments) != 3:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    try:
        with open(arguments[1], encoding="utf-8") as file:
            schema = parse(file.read())
        with open(arguments[2], encoding="utf-8") as file:
            report = parse(file.read())
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    found = violations(schema, report) or repeated_keys(report)
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
