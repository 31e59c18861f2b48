"""All that crosses a process boundary: settings, names, documents, errors.

Sidecar, operator, lab and every client agree on this package and on nothing else. A key, a path,
a header or a field name that crosses a process boundary is written here once; the documents
convert to JSON and back, and name the field that is wrong when they cannot.
"""
