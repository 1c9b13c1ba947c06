#!/bin/sh
# Builds the API reference into BUILD_FOLDER/reference; a warning of Doxygen's is a failure.
# Usage: reference.sh BUILD_FOLDER SOURCE_FOLDER    Exit: 0 built, 1 warnings, 77 no Doxygen here.
set -eu
command -v doxygen >/dev/null || { echo "SKIP: doxygen is not installed"; exit 77; }
command -v python3 >/dev/null || { echo "SKIP: python3 is not installed"; exit 77; }
cd "$2"
{ cat docs/reference/Doxyfile; echo "OUTPUT_DIRECTORY = \"$1/reference\""; } | doxygen - || exit 1
grep -q 'marline_span_start()' "$1/reference/html/trace_8h.html" || { echo "marline_span_start is missing"; exit 1; }
echo "reference: $1/reference/html/index.html"
