"""Reads {"dialect", "statements"} and writes, as a list, what the parser of the dialect cannot read of each statement, or null."""
import json
import sys

from sqlfluff.core import FluffConfig, Linter

asked = json.load(sys.stdin)
linter = Linter(config=FluffConfig(overrides={"dialect": asked["dialect"]}))
answers = []
for statement in asked["statements"]:
    unread = [v.desc() for v in linter.parse_string(statement + "\n").violations if "PRS" in v.rule_code()]
    answers.append(unread[0] if unread else None)
json.dump(answers, sys.stdout)
