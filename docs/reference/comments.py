"""Doxygen's input filter: turns the plain comments of the public headers into Doxygen's own.

    comments.py HEADER    prints the header, line for line

The headers are read more often than the reference, so they keep to plain comments, by these rules:
the first comment is about the file; a comment above a declaration is about it, and about those that
follow without a blank line; a comment behind a member is about the member, and a member whose name
says it all has none; `---- x ----` heads a section; what comes after `private` in a structure is
nobody's business.
"""

import re
import sys

DECLARATION = re.compile(r"(MARLINE_API|typedef|static inline|#define|struct|enum)\b")
SECTION = re.compile(r"/\* ---- (.*?) ---- \*/$")
MARKUP = re.compile(r"[\\@<>#%&]")
CODE = re.compile(r" \*     ")
MEMBER = re.compile(r"\s.*[^,;\s][,;]$")
SAYS_IT_ALL = " /**< &nbsp; */"


def escaped(line):
    """The text of a comment, with nothing in it that Doxygen would take for a command."""
    return line if CODE.match(line) else MARKUP.sub(r"\\\g<0>", line)


def joined(comment):
    """A comment as one line, so that repeating it moves no line number."""
    inner = " ".join(line.strip().lstrip("*").strip() for line in comment)
    return "/** " + inner.removeprefix("/**").removesuffix("*/").strip() + " */ "


class Filter:
    def __init__(self):
        self.seen_comment = False
        self.comment = []  # the one that the next declaration belongs to
        self.in_comment = False
        self.is_repeated = False  # the comment has had its first declaration
        self.in_private = False
        self.in_type = False  # between the braces of a structure or an enumeration
        self.is_commented = False  # the next member is

    def line(self, line):
        if self.in_comment:
            return self.continue_comment(line)
        section = SECTION.match(line)
        if section:
            return f"/** \\name {escaped(section[1]).capitalize()} */"
        if line.strip() == "/* private */":
            self.in_private = True
            return line.replace("/* private */", "/** \\cond */")
        if line.startswith("}") and self.in_private:
            self.in_private = False
            return "/** \\endcond */" + line
        if line.lstrip().startswith("/*"):
            return self.begin_comment(line)
        self.in_type = line.endswith("{") and DECLARATION.match(line) or (
            self.in_type and not line.startswith("}")
        )
        if not line:
            self.comment = []
        elif DECLARATION.match(line):
            line = self.declaration(line)
        return self.trailing(line)

    def begin_comment(self, line):
        kind = "/**" if self.seen_comment else "/** \\file\n"
        self.seen_comment = True
        self.in_comment = "*/" not in line
        self.is_repeated = False
        indent, _, text = line.partition("/*")
        line = indent + kind + escaped(text)
        self.comment = [] if indent else [line]
        self.is_commented = True
        return line

    def continue_comment(self, line):
        self.in_comment = "*/" not in line
        if self.comment:
            self.comment.append(escaped(line))
        return escaped(line)

    def declaration(self, line):
        if self.comment and self.is_repeated:
            line = joined(self.comment) + line
        self.is_repeated = True
        self.is_commented = False
        return line

    def trailing(self, line):
        code, mark, text = line.partition(" /*")
        if not mark or line.startswith("#"):
            return self.bare_member(line)
        self.in_comment = "*/" not in text
        if self.in_comment:
            self.comment = []
        self.is_commented = False
        return code + " /**<" + escaped(text)

    def bare_member(self, line):
        if not self.in_type or not MEMBER.match(line):
            return line
        is_commented, self.is_commented = self.is_commented, False
        return line if is_commented else line + SAYS_IT_ALL


def main():
    with open(sys.argv[1], encoding="utf-8") as header:
        lines = header.read().split("\n")
    apply = Filter()
    sys.stdout.write("\n".join(apply.line(line) for line in lines))


if __name__ == "__main__":
    main()
