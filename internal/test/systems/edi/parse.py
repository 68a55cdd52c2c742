"""Parses interchanges with other people's parsers: parse.py x12|edifact FILE...

A line of JSON for each: {"errors": [...], "segments": [...]}, the segments without the envelope, each a list of its tag and data elements, those of EDIFACT
with components lists.
"""

import json
import sys
import warnings

warnings.simplefilter("ignore")


def x12(name):
    import pyx12.x12file

    errors, segments = [], []
    reader = pyx12.x12file.X12Reader(name)
    for segment in reader:
        errors += [list(e) for e in reader.pop_errors()]
        tag = segment.get_seg_id()
        if tag not in ("ISA", "GS", "ST", "SE", "GE", "IEA"):
            text = segment.format(ele_term="\x1e", seg_term="")
            segments.append([tag] + text.split("\x1e")[1:])
    reader.cleanup()
    errors += [list(e) for e in reader.pop_errors()]
    return errors, segments


def edifact(name):
    from pydifact.segmentcollection import Interchange

    segments = []
    for message in Interchange.from_file(name, encoding="iso8859-1").get_messages():
        segments += [[s.tag] + list(s.elements) for s in message.segments]
    return [], segments


for file in sys.argv[2:]:
    errors, segments = {"x12": x12, "edifact": edifact}[sys.argv[1]](file)
    print(json.dumps({"errors": errors, "segments": segments}))
